"""Decodes many utterances at once: the chunks that are due soonest when the model is free become one batched step.

It knows no family: a detokenizer keeps the state of each stream, this decides whose frames come next. A stream waits
until its next chunk is there: small at first, so that sound starts early, then half as large again each time, because
the next is made while this one plays: doubled chunks starved listeners who get less than two audio-seconds a second. A
chunk is due when its listener, who plays in real time, has heard what came before; the first chunk is due at once, and
so is all that is made again for a replica that was lost. While a step runs, streams become ready, so the batch grows
with the load by itself, up to a size that a first chunk can wait for.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Generic

from services.codec.chunking import Chunking, Cuts
from services.codec.codec import Detokenizer, Samples, Stream
from services.codec.metrics import DetokenizerMetrics
from services.codec.utterance import Utterance
from services.contract.detokenization import Chunk, DetokenizationConfig, Priming
from services.contract.frames import Frames
from services.runtime.audio import Audio
from services.runtime.errors import EngineDied, InvalidRequest, StageUnavailable
from services.runtime.watchdog import Watchdog


class StreamScheduler(Generic[Stream]):
    """Owns the detokenizer and the one thread that runs it."""

    def __init__(
        self, detokenizer: Detokenizer[Stream], chunking: Chunking, metrics: DetokenizerMetrics, watchdog: Watchdog
    ) -> None:
        self._detokenizer = detokenizer
        self._frame_rate = detokenizer.frame_format.frame_rate
        self._chunking = chunking
        self._metrics = metrics
        self._watchdog = watchdog
        self._utterances: set[Utterance[Stream]] = set()
        self._work = asyncio.Event()
        metrics.backlog.set_function(self._backlog_seconds)
        self._executor = ThreadPoolExecutor(1, "detokenizer")
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(self._fail_all)

    @property
    def failed(self) -> "asyncio.Future[None]":
        """Done only when the model failed: the process should end."""
        return self._running

    async def decode(
        self, config: DetokenizationConfig, frames: AsyncGenerator[Frames, None]
    ) -> AsyncGenerator[Chunk, None]:
        """The audio of one utterance, as soon as it is determined. `frames`: of the model's format, without a gap, from
        the first or from those that prime. Leaving it frees its state at once. Raises InvalidRequest, what `frames`
        raises, StageUnavailable when the model has failed already, and EngineDied when it fails meanwhile.
        """
        if self._running.done():
            raise StageUnavailable("The detokenizer failed; its process ends.")
        utterance = self._opened(config)
        self._utterances.add(utterance)
        self._metrics.streams.inc()
        feeder = asyncio.create_task(self._feed(utterance, frames))
        feeder.add_done_callback(lambda task: _pass_on(task, utterance))
        try:
            async for chunk in _delivered(utterance):
                yield chunk
        finally:
            self._utterances.discard(utterance)
            self._metrics.streams.dec()
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._executor.shutdown()

    def _opened(self, config: DetokenizationConfig) -> Utterance[Stream]:
        detokenizer, priming = self._detokenizer, config.priming
        stream = detokenizer.open(config.speaker, config.look_ahead)
        full = detokenizer.right_field
        right = full if config.look_ahead is None else min(config.look_ahead, full)
        cuts = Cuts(self._chunking, right, priming)
        if priming is None:
            return Utterance(stream, cuts, detokenizer.frame_format.zeros(0), audible_from=0)
        _check(priming, detokenizer.left_field)
        return Utterance(stream, cuts, priming.frames, priming.from_frame)

    async def _feed(self, utterance: Utterance[Stream], frames: AsyncGenerator[Frames, None]) -> None:
        self._wake(utterance)
        async with aclosing(frames):
            async for more in frames:
                utterance.pending.put(more)
                self._wake(utterance)
        utterance.last = True
        self._wake(utterance)

    def _wake(self, utterance: Utterance[Stream]) -> None:
        utterance.mark(_now())
        self._work.set()

    async def _run(self) -> None:
        while True:
            batch = self._due()
            if not batch:
                self._work.clear()
                await self._work.wait()
                continue
            await self._step(batch)

    async def _step(self, batch: list[Utterance[Stream]]) -> None:
        for utterance in batch:
            self._metrics.waited.observe(_now() - (utterance.ready_since or 0.0))
        again = sum(utterance.next_frames for utterance in batch if utterance.cuts.replaying)
        items = [utterance.take() for utterance in batch]
        with self._metrics.step(len(items), sum(len(frames) for _, frames, _ in items), again):
            loop = asyncio.get_running_loop()
            with self._watchdog.work():
                chunks = await loop.run_in_executor(self._executor, self._detokenizer.step, items)
        for utterance, (_, _, last), samples in zip(batch, items, chunks, strict=True):
            self._deliver(utterance, samples, last)

    def _due(self) -> list[Utterance[Stream]]:
        """What comes next, who runs out soonest first: at least one utterance, if any is ready."""
        ready = sorted((each for each in self._utterances if each.ready), key=lambda utterance: utterance.due)
        batch = ready[: self._chunking.max_batch]
        capacity = self._chunking.max_step_frames
        sums = itertools.accumulate(utterance.next_frames for utterance in batch)
        return batch[: max(1, sum(1 for frames in sums if frames <= capacity))]

    def _deliver(self, utterance: Utterance[Stream], samples: Samples, last: bool) -> None:
        sent = utterance.deliver(Audio(samples, self._detokenizer.sample_rate), self._detokenizer.hop)
        if sent:
            utterance.due = max(utterance.due, _now()) + sent / self._frame_rate
        if last:
            self._utterances.discard(utterance)
            utterance.audio.put_nowait(None)
        else:
            utterance.mark(_now())

    def _backlog_seconds(self) -> float:
        """Of audio whose frames are here. Called from any thread."""
        return sum(len(utterance.pending) for utterance in list(self._utterances)) / self._frame_rate

    def _fail_all(self, running: "asyncio.Task[None]") -> None:
        for utterance in self._utterances:
            utterance.audio.put_nowait(EngineDied("The detokenizer failed; its process ends."))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _check(priming: Priming, left_field: int) -> None:
    """Raises InvalidRequest where the audio would not be what the lost replica would have sent."""
    before = priming.from_frame - priming.frames.first
    if priming.frames.first and before < left_field:
        message = f"{before} frames before from_frame are less than the {left_field} of the left field."
        raise InvalidRequest(message, field="priming.frames")


async def _delivered(utterance: Utterance[Stream]) -> AsyncIterator[Chunk]:
    while (item := await utterance.audio.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item


def _pass_on(feeder: "asyncio.Task[None]", utterance: Utterance[Stream]) -> None:
    """An error in the frames ends the utterance where its reader waits."""
    if not feeder.cancelled() and (error := feeder.exception()) is not None:
        utterance.audio.put_nowait(error)
