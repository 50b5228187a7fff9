"""Dynamic batching: what concurrent callers ask for is computed together, on a thread of its own. Knows no model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.codec.codec import Heard, Tokenizer
from services.codec.metrics import TokenizerMetrics
from services.runtime.errors import Overloaded, StageUnavailable
from services.runtime.watchdog import Watchdog

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchPolicy:
    """At most `limit` items share a call, and only items whose sizes differ by no more than the factor `spread`.

    The first item waits up to `window` seconds for batch mates; with a limit of 1 nothing waits. One more item than
    `capacity` waiting is refused.
    """

    limit: int
    window: float = 0.005
    spread: float = 1.5
    capacity: int = 64

    def __post_init__(self) -> None:
        if self.limit < 1 or self.capacity < 1:
            raise ValueError(f"limit and capacity must be positive, not {self.limit} and {self.capacity}")
        if self.window < 0 or self.spread < 1:
            raise ValueError(f"window >= 0 and spread >= 1, not {self.window:g} and {self.spread:g}")


@dataclass(eq=False)
class _Entry(Generic[Item, Result]):
    item: Item
    size: float
    future: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """Built in a running loop; `await batcher.run(item)` from anywhere in it, `await batcher.close()` at the end.

    `work` takes a list of items and returns their results in order; it runs on one thread, one call at a time. Where it
    raises for several items they are tried again one by one, so that an error reaches only the caller it belongs to. A
    caller that gives up takes its item out of the queue and disturbs nobody. The oldest item is always served next.
    """

    def __init__(
        self, work: Callable[[list[Item]], Sequence[Result]], size: Callable[[Item], float], policy: BatchPolicy
    ) -> None:
        self._work, self._size, self._policy = work, size, policy
        self._waiting: list[_Entry[Item, Result]] = []
        self._running: list[_Entry[Item, Result]] = []
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batcher")
        self._collector = asyncio.create_task(self._collect())
        self._collector.add_done_callback(self._fail_all)

    @property
    def failed(self) -> asyncio.Future[None]:
        """Done only when the batcher is closed or broken, never because of an item."""
        return self._collector

    @property
    def waiting(self) -> int:
        """Items that no call has taken up yet."""
        return len(self._waiting)

    @property
    def computing(self) -> bool:
        return bool(self._running)

    async def close(self) -> None:
        """Fails whatever is under way, and returns when the thread is done."""
        self._collector.cancel()
        await asyncio.wait([self._collector])
        await asyncio.to_thread(self._thread.shutdown)

    def _fail_all(self, collector: asyncio.Task[None]) -> None:
        for entry in self._waiting + self._running:
            if not entry.future.done():
                entry.future.set_exception(StageUnavailable("the stage is shutting down"))

    async def run(self, item: Item) -> Result:
        """Raises what `work` raised for this item, Overloaded, or StageUnavailable when the batcher is closed."""
        if self._collector.done():
            raise StageUnavailable("the stage is shutting down")
        if len(self._waiting) >= self._policy.capacity:
            raise Overloaded(f"{len(self._waiting)} requests are waiting already")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        entry = _Entry(item, self._size(item), future)
        self._waiting.append(entry)
        self._arrived.set()
        try:
            return await future
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    async def _collect(self) -> None:
        while True:
            await self._arrive(1)
            try:
                async with asyncio.timeout(self._policy.window):
                    await self._arrive(self._policy.limit)
            except TimeoutError:
                pass
            self._running = self._take()
            await self._compute(self._running)
            self._running = []

    async def _arrive(self, count: int) -> None:
        while len(self._waiting) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def _take(self) -> list[_Entry[Item, Result]]:
        """The oldest entry and those of its size behind it; empty when all callers left during the window."""
        batch = [entry for entry in self._waiting if self._alike(entry, self._waiting[0])][: self._policy.limit]
        self._waiting = [entry for entry in self._waiting if entry not in batch]
        return batch

    def _alike(self, one: _Entry[Item, Result], other: _Entry[Item, Result]) -> bool:
        return max(one.size, other.size) <= self._policy.spread * min(one.size, other.size)

    async def _compute(self, batch: list[_Entry[Item, Result]]) -> None:
        wanted = [entry for entry in batch if not entry.future.done()]
        if not wanted:
            return
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._results, [entry.item for entry in wanted])
        await asyncio.wait([done])
        error = done.exception()
        if error is None:
            _deliver(wanted, done.result())
        elif len(wanted) > 1:
            for entry in wanted:
                await self._compute([entry])
        elif not wanted[0].future.done():
            wanted[0].future.set_exception(error)

    def _results(self, items: list[Item]) -> Sequence[Result]:
        results = self._work(items)
        assert len(results) == len(items)
        return results


def _deliver(batch: list[_Entry[Item, Result]], results: Sequence[Result]) -> None:
    for entry, result in zip(batch, results, strict=True):
        if not entry.future.done():
            entry.future.set_result(result)


class TokenizeBatcher:
    """The tokenizer for concurrent callers. Owns the one thread that runs it; built in a running loop."""

    def __init__(self, tokenizer: Tokenizer, max_batch: int, metrics: TokenizerMetrics, watchdog: Watchdog) -> None:
        policy = BatchPolicy(min(max_batch, tokenizer.batch_limit))
        self._tokenizer, self._metrics, self._watchdog = tokenizer, metrics, watchdog
        self._batcher: Batcher[NDArray[np.float64], Heard] = Batcher(self._tokenize, len, policy)
        watchdog.busy = lambda: self._batcher.computing
        metrics.waiting.set_function(lambda: self._batcher.waiting)

    @property
    def failed(self) -> asyncio.Future[None]:
        """Done only when the batcher is closed or broken, never because of a recording."""
        return self._batcher.failed

    async def tokenize(self, clip: NDArray[np.float64]) -> Heard:
        """clip: [n], mono at the tokenizer's rate. Raises as `Batcher.run` does."""
        with self._watchdog.work():
            return await self._batcher.run(clip)

    async def close(self) -> None:
        await self._batcher.close()

    def _tokenize(self, clips: list[NDArray[np.float64]]) -> Sequence[Heard]:
        tokens = self._tokenizer.tokenize(clips)
        self._metrics.batch.observe(len(clips))
        self._metrics.audio_seconds.inc(sum(map(len, clips)) / self._tokenizer.sample_rate)
        return tokens
