"""Decodes many utterances at once: the chunks that are due soonest when the model is free become one batched step.

It knows no family: a detokenizer keeps the state of each stream, this decides whose frames come next. A stream waits
until its next chunk is there: small at first, so that sound starts early, then half as large again each time, because
the next is made while this one plays: doubled chunks starved listeners who get less than two audio-seconds a second.
Where the cuts lie does not depend on when codes arrive: at a short look-ahead that would change the audio. A chunk is
due when its listener, who plays in real time, has heard what came before; the first chunk is due at once. While a step
runs, streams become ready, so the batch grows with the load by itself, up to a size that a first chunk can wait for.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic

from services.codec.codec import Detokenizer, Samples, Stream
from services.codec.metrics import DetokenizerMetrics
from services.runtime.errors import InvalidRequest, StageUnavailable


@dataclass(frozen=True)
class Chunking:
    """The first chunk of audio that is worth a step, and the most that one is held back for; what a step may take."""

    first_frames: int
    max_frames: int
    max_batch: int
    max_step_frames: int

    @property
    def needed_at_first(self) -> int:
        """Frames beside the look-ahead: one more than the chunk has, see `_Utterance.mark`."""
        return self.first_frames + 1

    def after(self, frames: int) -> int:
        """How many frames are waited for behind a chunk of `frames`."""
        return min(max(3 * frames // 2, self.first_frames), self.max_frames)


@dataclass(eq=False)
class _Utterance(Generic[Stream]):
    stream: Stream
    wanted: int
    pending: list[int] = field(default_factory=list)
    last: bool = False
    due: float = 0.0
    ready_since: float | None = None
    in_step: bool = False
    audio: "asyncio.Queue[Samples | BaseException | None]" = field(default_factory=asyncio.Queue)

    @property
    def ready(self) -> bool:
        return self.ready_since is not None

    def mark(self, now: float) -> None:
        """To be called whenever codes or their end have come, and after a step, which decides how many are wanted."""
        # A code more than it takes: whether it is the last step of the utterance must not depend on when the end comes.
        enough = self.last or len(self.pending) > self.wanted
        if enough and not self.in_step and self.ready_since is None:
            self.ready_since = now

    @property
    def next_frames(self) -> int:
        return min(self.wanted, len(self.pending))

    def take(self) -> tuple[Stream, Sequence[int], bool]:
        """Never more than was wanted, so that the cuts, and with them the audio, follow from the codes alone."""
        self.ready_since, self.in_step = None, True
        taken, self.pending = self.pending[: self.wanted], self.pending[self.wanted :]
        return self.stream, taken, self.last and not self.pending


class StreamScheduler(Generic[Stream]):
    """Owns the detokenizer and the one thread that runs it."""

    def __init__(self, detokenizer: Detokenizer[Stream], chunking: Chunking, metrics: DetokenizerMetrics) -> None:
        self._detokenizer = detokenizer
        self._chunking = chunking
        self._metrics = metrics
        self._utterances: set[_Utterance[Stream]] = set()
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
        self, global_tokens: Sequence[int], look_ahead: int | None, codes: AsyncGenerator[Sequence[int], None]
    ) -> AsyncGenerator[Samples, None]:
        """Samples [T] of one utterance, as soon as they are determined. Leaving it frees its state at once."""
        if self._running.done():
            raise StageUnavailable("The detokenizer failed; its process ends.")
        stream = self._detokenizer.open(global_tokens, look_ahead)
        full = self._detokenizer.receptive_field
        right = full if look_ahead is None else min(look_ahead, full)
        utterance = _Utterance(stream, right + self._chunking.first_frames)
        self._utterances.add(utterance)
        self._metrics.streams.inc()
        feeder = asyncio.create_task(self._feed(utterance, codes))
        feeder.add_done_callback(lambda task: _pass_on(task, utterance))
        try:
            async for samples in _delivered(utterance):
                yield samples
        finally:
            self._utterances.discard(utterance)
            self._metrics.streams.dec()
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._executor.shutdown()

    async def _feed(self, utterance: _Utterance[Stream], codes: AsyncGenerator[Sequence[int], None]) -> None:
        async with aclosing(codes):
            async for values in codes:
                self._check(values)
                utterance.pending.extend(values)
                self._wake(utterance)
        utterance.last = True
        self._wake(utterance)

    def _wake(self, utterance: _Utterance[Stream]) -> None:
        utterance.mark(_now())
        self._work.set()

    def _check(self, values: Sequence[int]) -> None:
        size = self._detokenizer.codebook_size
        wrong = next((value for value in values if not 0 <= value < size), None)
        if wrong is not None:
            raise InvalidRequest(f"Code {wrong} is not in [0, {size}).", field="codes")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._due()
            if not batch:
                self._work.clear()
                await self._work.wait()
                continue
            for utterance in batch:
                self._metrics.waited.observe(_now() - (utterance.ready_since or 0.0))
            items = [utterance.take() for utterance in batch]
            with self._metrics.step(len(items), sum(len(codes) for _, codes, _ in items)):
                chunks = await loop.run_in_executor(self._executor, self._detokenizer.step, items)
            for utterance, (_, _, last), samples in zip(batch, items, chunks, strict=True):
                self._deliver(utterance, samples, last)

    def _due(self) -> list[_Utterance[Stream]]:
        """What comes next, the listener who runs out soonest first: at least one utterance, if any is ready."""
        ready = sorted((each for each in self._utterances if each.ready), key=lambda each: each.due)
        batch = ready[: self._chunking.max_batch]
        capacity = self._chunking.max_step_frames
        sums = itertools.accumulate(utterance.next_frames for utterance in batch)
        return batch[: max(1, sum(1 for frames in sums if frames <= capacity))]

    def _deliver(self, utterance: _Utterance[Stream], samples: Samples, last: bool) -> None:
        utterance.in_step = False
        if len(samples):
            utterance.audio.put_nowait(samples)
            frames = len(samples) // self._detokenizer.hop
            utterance.wanted = self._chunking.after(frames)
            utterance.due = max(utterance.due, _now()) + frames / self._detokenizer.frame_rate
        if last:
            self._utterances.discard(utterance)
            utterance.audio.put_nowait(None)
        else:
            utterance.mark(_now())

    def _backlog_seconds(self) -> float:
        """Of audio whose codes are here. Called from any thread."""
        return sum(len(utterance.pending) for utterance in list(self._utterances)) / self._detokenizer.frame_rate

    def _fail_all(self, running: "asyncio.Task[None]") -> None:
        for utterance in self._utterances:
            utterance.audio.put_nowait(StageUnavailable("The detokenizer failed; its process ends."))


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _delivered(utterance: _Utterance[Stream]) -> AsyncIterator[Samples]:
    while (item := await utterance.audio.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item


def _pass_on(feeder: "asyncio.Task[None]", utterance: _Utterance[Stream]) -> None:
    """An error in the codes ends the utterance where its reader waits."""
    if not feeder.cancelled() and (error := feeder.exception()) is not None:
        utterance.audio.put_nowait(error)
