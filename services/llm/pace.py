"""When codes are worth a message: together those that the first sound needs, then the more in one the longer the
listener can play without them. A message through two hops costs more than a small model's token.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from services.llm.events import CodesDrawn, Event

# Codes are held back for this share of the time for which the listener has others, and for so many seconds at least.
_HELD_SHARE = 0.5
_LEAST_SECONDS = 0.05


@dataclass(frozen=True)
class Pace:
    """How the codes are played: `first_codes` make the first sound, then `codes_per_second` are needed."""

    first_codes: int
    codes_per_second: float


def paced(
    events: AsyncGenerator[Event, None], pace: Pace | None, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[Event, None]:
    """The same events, which it owns, with the codes gathered; as they are drawn where nobody says how they are played.
    `clock` as time.monotonic.
    """
    return events if pace is None else _gathered(events, _Playhead(pace, clock))


async def _gathered(events: AsyncGenerator[Event, None], playhead: "_Playhead") -> AsyncGenerator[Event, None]:
    held: list[int] = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, CodesDrawn):
                held += event.codes
                if not playhead.needs(len(held)):
                    continue
            if held:
                yield CodesDrawn(tuple(held))
                held = []
            if not isinstance(event, CodesDrawn):
                yield event


class _Playhead:
    """Of a listener who hears the first sound as soon as its codes have left."""

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._clock = clock
        self._codes_left = 0
        self._begun = self._until = 0.0

    def needs(self, held: int) -> bool:
        """Whether `held` codes are due; if so they count as gone."""
        now = self._clock()
        if now < self._until or (not self._codes_left and held < self._pace.first_codes):
            return False
        if not self._codes_left:
            self._begun = now
        self._codes_left += held
        lead = (self._codes_left - self._pace.first_codes) / self._pace.codes_per_second - (now - self._begun)
        self._until = now + max(_LEAST_SECONDS, _HELD_SHARE * lead)
        return True
