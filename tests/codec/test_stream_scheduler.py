"""Scheduling of decode steps, with a detokenizer that is as simple as arithmetic."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.codec.metrics import DetokenizerMetrics
from services.codec.stream_scheduler import Chunking, StreamScheduler
from services.runtime.errors import InvalidRequest, StageUnavailable
from services.runtime.streams import collected

HOP = 2


class Counter:
    """A stream of the test codec: no look-ahead, each code becomes two samples of its value."""

    def __init__(self) -> None:
        self.last = False


class ArithmeticDetokenizer:
    sample_rate, frame_rate, hop, codebook_size = 100, 50.0, HOP, 1000
    global_token_count, global_codebook_size, receptive_field, usual_look_ahead = 1, 8, 3, 2

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.largest_step = 0
        self.sizes: list[int] = []
        self.served: list[int] = []

    def open(self, global_tokens: Sequence[int], look_ahead: int | None) -> Counter:
        if len(global_tokens) != self.global_token_count:
            raise InvalidRequest("one global token", field="global_tokens")
        return Counter()

    def step(self, items: Sequence[tuple[Counter, Sequence[int], bool]]) -> list[np.ndarray]:
        self.batches.append(len(items))
        self.largest_step = max(self.largest_step, sum(len(codes) for _, codes, _ in items))
        self.sizes += [len(codes) for _, codes, _ in items]
        self.served += [codes[0] // 100 for _, codes, _ in items if len(codes)]
        for stream, _, last in items:
            assert not stream.last, "a step after the last one"
            stream.last = last
        if any(999 in codes for _, codes, _ in items):
            raise RuntimeError("out of memory")
        return [np.repeat(np.array(codes, np.float32), HOP) for _, codes, _ in items]


@pytest.fixture
def detokenizer() -> ArithmeticDetokenizer:
    return ArithmeticDetokenizer()


@pytest.fixture
async def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def scheduler(detokenizer, registry):
    scheduler = StreamScheduler(detokenizer, Chunking(2, 8, 4, 20), DetokenizerMetrics(registry))
    yield scheduler
    await scheduler.close()


async def codes(values: Sequence[int], piece: int = 3) -> AsyncGenerator[Sequence[int], None]:
    for begin in range(0, len(values), piece):
        yield values[begin : begin + piece]


async def test_every_frame_comes_out_once_and_in_order(scheduler) -> None:
    chunks = await collected(scheduler.decode([0], None, codes(range(50))))
    assert np.array_equal(np.concatenate(chunks), np.repeat(np.arange(50), HOP))


async def test_no_codes_give_no_audio(scheduler) -> None:
    assert await collected(scheduler.decode([0], None, codes([]))) == []


async def test_streams_that_wait_together_are_decoded_together(scheduler, detokenizer) -> None:
    streams = [collected(scheduler.decode([0], 0, codes(range(n), 100))) for n in (1, 9, 30, 4, 7, 2)]
    results = await asyncio.gather(*streams)
    assert [len(np.concatenate(chunks)) // HOP for chunks in results] == [1, 9, 30, 4, 7, 2]
    assert max(detokenizer.batches) > 1
    assert max(detokenizer.batches) <= 4


@pytest.mark.parametrize("piece", [1, 3, 40])
async def test_the_cuts_follow_from_the_codes_alone(scheduler, detokenizer, piece: int) -> None:
    await collected(scheduler.decode([0], 0, codes(range(40), piece)))
    assert detokenizer.sizes == [2, 3, 4, 6, 8, 8, 8, 1]


async def test_codes_that_come_during_a_step_change_no_cut(scheduler, detokenizer) -> None:
    in_step, go_on = threading.Event(), threading.Event()
    arithmetic = detokenizer.step

    def held(items):
        in_step.set()
        assert go_on.wait(60)
        return arithmetic(items)

    async def two_during_the_first_step() -> AsyncGenerator[Sequence[int], None]:
        yield [0, 1, 2]
        await asyncio.to_thread(in_step.wait)
        yield [3, 4]
        go_on.set()
        while len(detokenizer.sizes) < 1:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        yield list(range(5, 20))

    detokenizer.step = held
    await collected(scheduler.decode([0], 0, two_during_the_first_step()))
    assert detokenizer.sizes == [2, 3, 4, 6, 5]


async def test_end_that_comes_late_changes_no_cut(scheduler, detokenizer) -> None:
    async def end_comes_late() -> AsyncGenerator[Sequence[int], None]:
        yield list(range(5))  # Two chunks, to the code.
        while len(detokenizer.sizes) < 1:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)

    await collected(scheduler.decode([0], 0, codes(range(5), 5)))
    await collected(scheduler.decode([0], 0, end_comes_late()))
    assert detokenizer.sizes == [2, 3, 2, 3]


async def test_the_first_chunk_waits_for_its_look_ahead(scheduler, detokenizer) -> None:
    await collected(scheduler.decode([0], 2, codes(range(10))))
    await collected(scheduler.decode([0], 99, codes(range(10))))
    assert detokenizer.sizes == [4, 6, 5, 5]


async def test_the_listener_who_runs_out_first_is_served_first(detokenizer, registry) -> None:
    scheduler = StreamScheduler(detokenizer, Chunking(2, 8, 4, 8), DetokenizerMetrics(registry))  # one stream a step
    early = [scheduler.decode([0], 0, codes(range(100 * n, 100 * n + 90), 90)) for n in (1, 2, 3, 4)]
    for stream in early:
        await anext(stream)
    before = len(detokenizer.served)
    await collected(scheduler.decode([0], 0, codes(range(500, 502), 2)))
    assert detokenizer.served[before:].index(5) <= 2
    for stream in early:
        await stream.aclose()
    await scheduler.close()


async def test_chunks_that_wait_and_audio_in_hand_are_counted(scheduler, registry) -> None:
    async def seven_then_wait() -> AsyncGenerator[Sequence[int], None]:
        yield list(range(7))
        await asyncio.Event().wait()

    stream = scheduler.decode([0], 0, seven_then_wait())
    for _ in range(2):
        await anext(stream)
    assert registry.get_sample_value("voxline_detokenizer_backlog_audio_seconds") == 2 / 50
    assert registry.get_sample_value("voxline_detokenizer_queue_seconds_count") == 2
    await stream.aclose()
    assert registry.get_sample_value("voxline_detokenizer_backlog_audio_seconds") == 0


async def test_a_step_takes_no_more_frames_than_a_first_chunk_can_wait_for(scheduler, detokenizer) -> None:
    await asyncio.gather(*(collected(scheduler.decode([0], 0, codes(range(90), 90))) for _ in range(4)))
    assert max(detokenizer.batches) == 4
    assert detokenizer.largest_step <= 20


async def test_a_code_out_of_range_names_its_field_and_leaves_others_alone(scheduler) -> None:
    bad = collected(scheduler.decode([0], None, codes([1, 2, 1000])))
    good = collected(scheduler.decode([0], None, codes(range(20))))
    error, chunks = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(error, InvalidRequest)
    assert error.field == "codes"
    assert len(np.concatenate(chunks)) == 20 * HOP


async def test_a_wrong_speaker_is_refused_before_anything_is_read(scheduler) -> None:
    with pytest.raises(InvalidRequest, match="one global token"):
        await collected(scheduler.decode([0, 1], None, codes(range(3))))


async def test_leaving_frees_the_stream_and_closes_its_codes(scheduler, registry) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Sequence[int], None]:
        try:
            while True:
                yield [1, 2, 3]
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    stream = scheduler.decode([0], None, endless())
    await anext(stream)
    assert registry.get_sample_value("voxline_detokenizer_streams") == 1
    await stream.aclose()
    assert closed.is_set()
    assert registry.get_sample_value("voxline_detokenizer_streams") == 0


async def test_a_model_that_fails_ends_every_stream_and_is_reported(scheduler) -> None:
    async def piece_then_wait() -> AsyncGenerator[Sequence[int], None]:
        yield [1]
        await asyncio.Event().wait()

    waiting = asyncio.create_task(collected(scheduler.decode([0], None, piece_then_wait())))
    with pytest.raises(StageUnavailable):
        await collected(scheduler.decode([0], None, codes([999])))
    with pytest.raises(StageUnavailable):
        await waiting
    assert isinstance(scheduler.failed.exception(), RuntimeError)
    with pytest.raises(StageUnavailable):
        await collected(scheduler.decode([0], None, codes([1])))
