"""How long the gateway waits for its stages. A clock runs only while a stage owes something that somebody waits for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.runtime.errors import DeadlineExceeded

T = TypeVar("T")

# A stage that meanwhile serves our other calls is waited for so many times as long: queueing is no hang.
_QUEUEING = 4
# So often a clock is looked at before it runs out.
_TICKS = 10


@dataclass(frozen=True)
class Deadlines:
    """In seconds. `first_frame`: of a generation; `between_frames`: behind it; `first_audio`: once its frames are
    there; `chunk`: the same for those that follow; `recording`: what the tokenizer has for one.
    """

    first_frame: float = 30.0
    between_frames: float = 10.0
    first_audio: float = 15.0
    chunk: float = 10.0
    recording: float = 30.0


USUAL = Deadlines()


class Patience:
    """With one stage, by all calls of this gateway. `stage` is its name."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._given = 0

    async def wait(
        self,
        step: Awaitable[T],
        seconds: float,
        owed: Callable[[], bool] = lambda: True,
        queued: bool = True,
    ) -> T:
        """The result of `step`, which is cancelled once the stage has owed it for `seconds`. Where the call may be
        `queued` behind others, what the stage gives to these starts the clock again, up to four times.

        Raises DeadlineExceeded, which is `broken`: the replica counts as lost.
        """
        try:
            async with asyncio.timeout(None) as timeout:
                clock = _Clock(seconds, owed, self._progress if queued else lambda: 0, timeout)
                try:
                    result = await step
                finally:
                    clock.stop()
        except TimeoutError as exc:
            if not timeout.expired():
                raise
            error = DeadlineExceeded(f"The {self._stage} stage did not answer in time.")
            error.broken = True
            raise error from exc
        self._given += 1
        return result

    def _progress(self) -> int:
        return self._given


class _Clock:
    """Ticks, so that time in which this process stood still counts for no more than a tick."""

    def __init__(
        self, seconds: float, owed: Callable[[], bool], progress: Callable[[], int], timeout: asyncio.Timeout
    ) -> None:
        self._seconds, self._owed, self._progress, self._timeout = seconds, owed, progress, timeout
        self._interval = seconds / _TICKS
        self._loop = asyncio.get_running_loop()
        self._seen = progress()
        self._owed_for = self._still_for = 0.0
        self._start()

    def stop(self) -> None:
        self._next.cancel()

    def _start(self) -> None:
        self._at = time.monotonic()
        self._next = self._loop.call_later(self._interval, self._tick)

    def _tick(self) -> None:
        passed = min(time.monotonic() - self._at, 2 * self._interval)
        self._owed_for += passed
        self._still_for += passed
        if (seen := self._progress()) != self._seen:
            self._seen, self._still_for = seen, 0.0
        if not self._owed():
            self._owed_for = self._still_for = 0.0
        if self._still_for >= self._seconds or self._owed_for >= _QUEUEING * self._seconds:
            self._timeout.reschedule(self._loop.time())
        else:
            self._start()
