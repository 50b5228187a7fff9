"""When codes are worth a message: together those that the first sound needs, then the more in one the longer the
listener can play without them. A message through two hops costs more than a small model's token.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

# Codes are held back for this share of the time for which the listener has others, and for so many seconds at least.
_HELD_SHARE = 0.5
_LEAST_SECONDS = 0.05


@dataclass(frozen=True)
class Pace:
    """How the codes are played: `first_codes` make the first sound, then `codes_per_second` are needed."""

    first_codes: int
    codes_per_second: float


class Playhead:
    """Of a listener who hears the first sound as soon as its codes have left. The model draws `prelude` tokens before
    the first code. `clock` as time.monotonic.
    """

    def __init__(self, pace: Pace, prelude: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = pace
        self._first = prelude + pace.first_codes
        self._clock = clock
        self._left = 0
        self._begun = self._until = 0.0

    def due(self, held: int) -> bool:
        """Whether `held` tokens are worth a message; if so they count as gone."""
        now = self._clock()
        if now < self._until or (not self._left and held < self._first):
            return False
        if not self._left:
            self._begun = now
        self._left += held
        lead = (self._left - self._first) / self._pace.codes_per_second - (now - self._begun)
        self._until = now + max(_LEAST_SECONDS, _HELD_SHARE * lead)
        return True
