"""What was drawn and has not crossed to the event loop yet."""

import time

from services.llm.engines.stepper import Drawn


class Outbox:
    """Holds ids back for a moment: waking the event loop, and a message to the client, cost more than a small model's
    token. A sequence's first ids and its end are not held, nor anything while a new prompt could delay the next step.
    """

    def __init__(self, hold_seconds: float = 0.005) -> None:
        self._hold_seconds = hold_seconds
        self._held: list[Drawn] = []
        self._started: set[int] = set()
        self._emptied = 0.0

    def offer(self, drawn: list[Drawn], may_hold: bool) -> list[Drawn]:
        """What is to be delivered now, with what was held; or nothing."""
        self._held += drawn
        first = any(item.ticket not in self._started for item in drawn)
        self._started.update(item.ticket for item in drawn)
        self._started.difference_update(item.ticket for item in drawn if item.done)
        now = time.monotonic()
        urgent = first or any(item.done for item in drawn) or now - self._emptied >= self._hold_seconds
        if may_hold and not urgent:
            return []
        delivered, self._held, self._emptied = self._held, [], now
        return delivered
