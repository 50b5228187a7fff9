"""The corpus as tokens of the trained codec."""
