"""What one key has left of its limits, in this process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.gateway.access.key import KeyLimits
from services.runtime.errors import RateLimited

_MINUTE = 60.0


class Allowance:
    """`clock` works as time.monotonic. Characters come back at the rate of the limit, up to those of one minute."""

    def __init__(self, limits: KeyLimits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits or KeyLimits()
        self._clock = clock
        self._running = 0
        self._characters = float(self._limits.characters_a_minute)
        self._counted_at = clock()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Counts from here to its end. Raises RateLimited."""
        limit = self._limits.requests_at_once
        if limit and self._running >= limit:
            raise RateLimited(f"This key has {self._running} requests running, which is its limit; wait for one.")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    @contextmanager
    def characters(self, count: int) -> Iterator[None]:
        """Counts them, but not where an error ends the block. Raises RateLimited with the time until they may be sent
        if nothing else is. A text above the limit needs the whole of it, and is owed for.
        """
        limit = self._limits.characters_a_minute
        if not limit:
            yield
            return
        self._restore(limit)
        missing = min(count, limit) - self._characters
        if missing > 0:
            raise RateLimited(
                f"This key has {max(0, int(self._characters))} of its {limit} characters a minute left, "
                f"and the text has {count}.",
                retry_after=missing * _MINUTE / limit,
            )
        self._characters -= count
        try:
            yield
        except Exception:  # Whatever it is, nothing was spoken. Who leaves has had what it asked for.
            self._characters = min(limit, self._characters + count)
            raise

    def _restore(self, limit: int) -> None:
        now = self._clock()
        self._characters = min(limit, self._characters + (now - self._counted_at) * limit / _MINUTE)
        self._counted_at = now
