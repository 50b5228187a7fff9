"""An engine around a `Stepper`: something that computes one step of all its sequences, in a thread of its own.

The thread sleeps on its queue while nothing is to be done and is never polled. Ids cross to the event loop when they
are due, for all sequences together.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, SimpleQueue
from typing import TypeVar

from services.llm.engines.engine import Due, EngineModel, at_once
from services.llm.engines.outbox import Outbox
from services.llm.engines.stepper import Drawn, Job, Stepper
from services.llm.sampling import ResolvedSampling
from services.runtime.errors import EngineDied, StageUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class _Cancel:
    ticket: int


class _Close:
    pass


@dataclass
class _Stream:
    """What has arrived and was not read yet; lives in the event loop, but for `started`, which the thread sets."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    ids: list[int] = field(default_factory=list)
    started: bool = False
    done: bool = False

    def take(self) -> list[int]:
        taken, self.ids = self.ids, []
        self.arrived.clear()
        return taken


class SteppedEngine:
    """Owns the thread; the stepper belongs to it from here on."""

    def __init__(self, model: EngineModel, stepper: Stepper) -> None:
        self._model = model
        self.metrics = stepper.metrics
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._streams: dict[int, _Stream] = {}
        self._tickets = count()
        self._inbox: SimpleQueue[Job | _Cancel | _Close] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(stepper,), name="llm-engine", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        return sum(stream.started for stream in list(self._streams.values()))

    @property
    def waiting(self) -> int:
        return len(self._streams) - self.running

    async def generate(
        self,
        prompt: Sequence[int],
        sampling: ResolvedSampling,
        stop_ids: frozenset[int],
        due: Due = at_once,
        drawn: Sequence[int] = (),
    ) -> AsyncGenerator[list[int], None]:
        self._model.check(prompt, sampling, drawn)
        if self.failed.done():
            raise StageUnavailable("The engine is dead; its process ends.")
        job = Job(next(self._tickets), tuple(prompt), sampling, stop_ids, due, tuple(drawn))
        stream = self._streams[job.ticket] = _Stream()
        self._inbox.put(job)
        try:
            while stream.ids or not stream.done:
                await stream.arrived.wait()
                if ids := stream.take():
                    yield ids
                if self.failed.done() and not (stream.ids or stream.done):
                    raise EngineDied("The engine died.")
        finally:
            if not stream.done:
                self._inbox.put(_Cancel(job.ticket))

    async def close(self) -> None:
        """Running generations end with EngineDied."""
        self._inbox.put(_Close())
        await asyncio.to_thread(self._thread.join)

    def _deliver(self, drawn: Iterable[Drawn]) -> None:
        for item in drawn:
            stream = self._streams[item.ticket]
            stream.ids += item.ids
            stream.done = item.done
            stream.arrived.set()
            if item.done:
                del self._streams[item.ticket]

    def _end(self, cause: Exception | None) -> None:
        if cause is None:
            self.failed.cancel()
        elif not self.failed.done():
            self.failed.set_exception(cause)
            self.failed.exception()  # Seen: no complaint at exit where nobody awaits it.
        for stream in self._streams.values():
            stream.arrived.set()
        self._streams.clear()

    def _work(self, stepper: Stepper) -> None:
        """The thread. Whatever is raised in it is the engine's death: reported, never swallowed."""
        live: set[int] = set()
        outbox = Outbox()
        try:
            while self._read_inbox(stepper, outbox, live):
                if live and (drawn := outbox.offer(self._step(stepper, live))):
                    self._post(self._deliver, drawn)
            for ticket in live:
                stepper.cancel(ticket)
            while live:
                self._step(stepper, live)
            self._post(self._end, None)
        except Exception as exc:  # Whatever it is, nobody else would learn that this thread has ended.
            self._post(self._end, exc)

    def _read_inbox(self, stepper: Stepper, outbox: Outbox, live: set[int]) -> bool:
        """Carries out what has been asked for; waits for it where no sequence lives. False once closed."""
        wait = not live
        while True:
            try:
                message = self._inbox.get(block=wait)
            except Empty:
                return True
            wait = False
            if isinstance(message, _Close):
                return False
            if isinstance(message, Job):
                live.add(message.ticket)
                outbox.open(message.ticket, message.due)
                stepper.submit(message)
            elif message.ticket in live:
                stepper.cancel(message.ticket)

    def _post(self, call: Callable[[T], None], value: T) -> None:
        with suppress(RuntimeError):  # The event loop is closed: the process ends.
            self._loop.call_soon_threadsafe(call, value)

    def _step(self, stepper: Stepper, live: set[int]) -> list[Drawn]:
        drawn = list(stepper.step())
        for item in drawn:
            self._streams[item.ticket].started |= bool(item.ids)
            if item.done:
                live.remove(item.ticket)
        return drawn
