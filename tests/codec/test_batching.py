import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.codec.batching import Batcher, BatchPolicy, TokenizeBatcher
from services.codec.families.spark.tokenizer import SparkTokenizer
from services.codec.metrics import TokenizerMetrics
from services.runtime.errors import InvalidRequest, Overloaded, StageUnavailable
from services.runtime.watchdog import Watchdog

# Far longer than a test: a batch that forms sooner formed because it was full.
LONG = 60.0
Work = Callable[[list[int]], list[int]]


class Doubler:
    """Work that doubles its items, notes its batches, refuses 13, and stands still while the gate is shut."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.threads.add(threading.get_ident())
        assert self.gate.wait(60)
        if 13 in items:
            raise InvalidRequest("13 is unlucky")
        return [2 * item for item in items]


@pytest.fixture
def work() -> Doubler:
    return Doubler()


@asynccontextmanager
async def batcher(
    work: Work, limit: int, window: float = 0.0, spread: float = 1.5, capacity: int = 64
) -> AsyncIterator[Batcher[int, int]]:
    doubler = Batcher[int, int](work, float, BatchPolicy(limit, window, spread, capacity))
    try:
        yield doubler
    finally:
        await doubler.close()


async def settle() -> None:
    """Let every ready task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_concurrent_items_share_a_batch_on_another_thread(work: Doubler) -> None:
    async with batcher(work, 3, LONG, spread=10) as doubler:
        assert await asyncio.gather(*(doubler.run(item) for item in (4, 5, 6))) == [8, 10, 12]
    assert work.batches == [[4, 5, 6]]
    assert threading.get_ident() not in work.threads


async def test_a_lone_item_waits_no_longer_than_the_window(work: Doubler) -> None:
    async with batcher(work, 8, 0.001) as doubler:
        assert await doubler.run(4) == 8
    assert work.batches == [[4]]


async def test_a_limit_of_one_takes_items_one_by_one_without_a_window(work: Doubler) -> None:
    async with batcher(work, 1, LONG) as doubler:
        assert await asyncio.gather(doubler.run(4), doubler.run(5)) == [8, 10]
    assert work.batches == [[4], [5]]


async def test_items_of_other_sizes_go_into_other_batches_oldest_first(work: Doubler) -> None:
    async with batcher(work, 5, LONG, spread=1.5) as doubler:
        tasks = [asyncio.create_task(doubler.run(item)) for item in (4, 40, 5, 41, 6)]
        first = await asyncio.gather(tasks[0], tasks[2], tasks[4])
        assert first == [8, 10, 12]
        tasks += [asyncio.create_task(doubler.run(item)) for item in (42, 43, 44)]
        assert await asyncio.gather(*tasks) == [8, 80, 10, 82, 12, 84, 86, 88]
    assert work.batches == [[4, 5, 6], [40, 41, 42, 43, 44]]


async def test_an_error_reaches_only_its_own_caller(work: Doubler) -> None:
    async with batcher(work, 3, LONG, spread=10) as doubler:
        results = await asyncio.gather(*(doubler.run(item) for item in (12, 13, 14)), return_exceptions=True)
    assert results[0] == 24
    assert isinstance(results[1], InvalidRequest)
    assert results[2] == 28
    assert work.batches == [[12, 13, 14], [12], [13], [14]]


async def test_a_caller_that_leaves_the_queue_is_not_computed(work: Doubler) -> None:
    work.gate.clear()
    async with batcher(work, 1) as doubler:
        tasks = [asyncio.create_task(doubler.run(item)) for item in (1, 2, 3)]
        await settle()
        tasks[1].cancel()
        await settle()
        work.gate.set()
        assert await asyncio.gather(tasks[0], tasks[2]) == [2, 6]
    assert tasks[1].cancelled()
    assert work.batches == [[1], [3]]


async def test_a_caller_that_leaves_a_running_batch_disturbs_nobody(work: Doubler) -> None:
    work.gate.clear()
    async with batcher(work, 2, LONG, spread=10) as doubler:
        tasks = [asyncio.create_task(doubler.run(item)) for item in (4, 5)]
        await settle()
        tasks[0].cancel()
        await settle()
        work.gate.set()
        assert await tasks[1] == 10
    assert tasks[0].cancelled()


async def test_a_queue_emptied_during_the_window_goes_on_working(work: Doubler) -> None:
    async with batcher(work, 2, 0.001, spread=10) as doubler:
        task = asyncio.create_task(doubler.run(4))
        await settle()
        task.cancel()
        assert await asyncio.gather(doubler.run(5), doubler.run(6)) == [10, 12]
        assert await doubler.run(7) == 14


async def test_a_full_queue_refuses(work: Doubler) -> None:
    work.gate.clear()
    async with batcher(work, 1, capacity=2) as doubler:
        tasks = [asyncio.create_task(doubler.run(1))]
        await settle()
        tasks += [asyncio.create_task(doubler.run(item)) for item in (2, 3)]
        await settle()
        with pytest.raises(Overloaded, match="2 requests are waiting"):
            await doubler.run(4)
        work.gate.set()
        assert await asyncio.gather(*tasks) == [2, 4, 6]


async def test_closing_fails_what_waits_and_what_comes_later(work: Doubler) -> None:
    work.gate.clear()
    async with batcher(work, 1) as doubler:
        tasks = [asyncio.create_task(doubler.run(item)) for item in (1, 2)]
        await settle()
        closing = asyncio.create_task(doubler.close())
        await settle()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [StageUnavailable, StageUnavailable]
        with pytest.raises(StageUnavailable):
            await doubler.run(3)
        work.gate.set()
        await closing
    assert work.batches == [[1]]


async def test_work_that_loses_a_result_fails_its_callers() -> None:
    async with batcher(lambda items: [], 1) as broken:
        with pytest.raises(AssertionError):
            await broken.run(1)


@pytest.mark.parametrize("policy", [{"limit": 0}, {"limit": 1, "window": -1.0}, {"limit": 1, "spread": 0.5}])
def test_a_policy_that_serves_nobody_is_refused(policy: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"positive|>="):
        BatchPolicy(**policy)


async def test_concurrent_recordings_get_their_own_tokens() -> None:
    tokenizer = SparkTokenizer.load(Path(__file__).parents[2] / "models" / "voxline-small")
    registry = CollectorRegistry()
    generator = np.random.default_rng(2)
    clips = [generator.uniform(-0.3, 0.3, samples) for samples in (9_000, 20_000, 16_000)]
    batcher = TokenizeBatcher(tokenizer, 16, TokenizerMetrics(registry), Watchdog(0))
    together = await asyncio.gather(*(batcher.tokenize(clip) for clip in clips))
    await batcher.close()
    assert batcher.failed.done()
    assert together == [tokenizer.tokenize([clip])[0] for clip in clips]
    assert registry.get_sample_value("voxline_tokenizer_audio_seconds_total") == pytest.approx(45_000 / 16_000)
    assert registry.get_sample_value("voxline_tokenizer_batch_size_count") == 3
    assert registry.get_sample_value("voxline_tokenizer_waiting_clips") == 0
