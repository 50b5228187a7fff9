"""When frames are worth a message: together those that the first sound needs, then the more in one the longer the
listener can play without them. A message through two hops costs more than a small model's token.
"""

import time
from collections.abc import Callable

from services.contract.generation import Pace

# Tokens are held back for this share of the time for which the listener has others, between so many seconds: what says
# nothing for long would be taken for hung.
_HELD_SHARE = 0.5
_LEAST_SECONDS, _MOST_SECONDS = 0.05, 2.0


class Playhead:
    """Of a listener who hears the first sound as soon as its tokens have left. It `needs` so many, with those that are
    drawn before the first frame; 0 where it hears already, or waits for the next frame. `clock` as time.monotonic.
    """

    def __init__(
        self, pace: Pace, tokens_per_frame: int, needs: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens_per_second = pace.frames_per_second * tokens_per_frame
        self._needs = needs
        self._clock = clock
        now = clock()
        self._silent_from = now + pace.ahead_seconds
        self._held_until = now if needs else now + min(max(0.0, _HELD_SHARE * pace.ahead_seconds), _MOST_SECONDS)

    def due(self, held: int) -> bool:
        """Whether `held` tokens are worth a message; if so they count as gone."""
        now = self._clock()
        if now < self._held_until or held < self._needs:
            return False
        if self._needs:
            self._silent_from = now - self._needs / self._tokens_per_second
            self._needs = 0
        self._silent_from += held / self._tokens_per_second
        self._held_until = now + min(max(_LEAST_SECONDS, _HELD_SHARE * (self._silent_from - now)), _MOST_SECONDS)
        return True
