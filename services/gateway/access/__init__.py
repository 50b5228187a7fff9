"""Who calls, and what they may: one guard for every door of the gateway."""
