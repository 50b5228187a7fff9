"""Notices that what computes has stopped doing so: a thread that hangs raises nothing."""

import asyncio
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# So often the clock is looked at before it runs out.
_TICKS = 10


class Stalled(Exception):
    """Work was waited for, and nothing of it ended for as long as is allowed."""


class Watchdog:
    """Built in a running loop. `seconds`: without progress while somebody waits for work, or `busy` says that some is
    under way whose caller has left; 0 is for ever.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.busy: Callable[[], bool] = lambda: False
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._waiting = 0
        self._still_for = 0.0
        self._next: asyncio.TimerHandle | None = None

    @contextmanager
    def work(self) -> Iterator[None]:
        """While something is waited for; progress when it ends well."""
        self._waiting += 1
        if self._next is None and self._seconds:
            self._start()
        try:
            yield
            self._still_for = 0.0
        finally:
            self._waiting -= 1  # Whether anything goes on without who has left, the next tick sees.

    @property
    def _idle(self) -> bool:
        return not self._waiting and not self.busy()

    def _start(self) -> None:
        self._at = time.monotonic()
        self._next = self._loop.call_later(self._seconds / _TICKS, self._tick)

    def _tick(self) -> None:
        """Time in which this process stood still counts for no more than two ticks."""
        if self._idle:
            self._next = None
            return
        self._still_for += min(time.monotonic() - self._at, 2 * self._seconds / _TICKS)
        if self._still_for < self._seconds:
            self._start()
        elif not self.failed.done():
            self.failed.set_exception(Stalled(f"Nothing was computed for {self._seconds:g} s."))
            self.failed.exception()  # Seen: no complaint at exit where nobody awaits it.


def first_failure(*failures: "asyncio.Future[None]") -> "asyncio.Future[None]":
    """Fails as the first of them; ends when one ends otherwise. They are left alone when it is cancelled."""

    async def first() -> None:
        done, _ = await asyncio.wait(failures, return_when=asyncio.FIRST_COMPLETED)
        done.pop().result()

    return asyncio.ensure_future(first())


def leave_if_stalled(watchdog: Watchdog, status: int) -> None:
    """Ends the process here, and its children: the thread that hangs would be waited for."""
    if watchdog.failed.done():
        for child in multiprocessing.active_children():
            child.kill()
        logging.shutdown()
        os._exit(status)
