"""What was drawn and has not crossed to the event loop yet."""

import time
from collections import Counter
from collections.abc import Callable

from services.llm.engines.stepper import Drawn

# So many ids a sequence draws before it has been heard.
_UNHEARD = 64


class Outbox:
    """Holds ids back for a moment: waking the event loop, and a message to the client, cost more than a small model's
    token. A sequence's first ids and its end are not held, nor anything while a new prompt could delay the next step;
    those that make its first sound are held for `hold_seconds`, later ones for `later_seconds`.
    """

    def __init__(
        self,
        hold_seconds: float = 0.005,
        later_seconds: float = 0.025,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hold_seconds, self._later_seconds, self._clock = hold_seconds, later_seconds, clock
        self._held: dict[int, Drawn] = {}
        self._delivered: Counter[int] = Counter()
        self._delivered_at: dict[int, float] = {}

    def offer(self, drawn: list[Drawn], may_hold: bool) -> list[Drawn]:
        """What is to be delivered now, with what was held; or nothing."""
        for item in drawn:
            held = self._held.get(item.ticket)
            self._held[item.ticket] = Drawn(item.ticket, held.ids + item.ids, item.done) if held else item
        now = self._clock()
        due = [item for item in self._held.values() if not may_hold or self._is_due(item, now)]
        for item in due:
            self._leave(item, now)
        return due

    def _is_due(self, item: Drawn, now: float) -> bool:
        seconds = self._later_seconds if self._delivered[item.ticket] >= _UNHEARD else self._hold_seconds
        before = self._delivered_at.get(item.ticket)
        return item.done or before is None or now - before >= seconds

    def _leave(self, item: Drawn, now: float) -> None:
        del self._held[item.ticket]
        self._delivered[item.ticket] += len(item.ids)
        self._delivered_at[item.ticket] = now
        if item.done:
            del self._delivered[item.ticket], self._delivered_at[item.ticket]
