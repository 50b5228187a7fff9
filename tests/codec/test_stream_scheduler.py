"""Scheduling of decode steps, with a detokenizer that is as simple as arithmetic."""

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.codec.chunking import Chunking
from services.codec.metrics import DetokenizerMetrics
from services.codec.stream_scheduler import StreamScheduler
from services.contract.detokenization import Chunk, DetokenizationConfig, Priming
from services.contract.frames import Frames
from services.runtime.errors import InvalidRequest, StageUnavailable
from services.runtime.streams import collected
from services.runtime.watchdog import Stalled, Watchdog

from .arithmetic import BREAKS, HOP, UNKNOWN, ArithmeticDetokenizer

FULL, SHORT = DetokenizationConfig(speaker=None), DetokenizationConfig(speaker=None, look_ahead=0)


def looking(look_ahead: int) -> DetokenizationConfig:
    return DetokenizationConfig(speaker=None, look_ahead=look_ahead)


def primed(first: int, from_frame: int, *chunk_frames: int) -> DetokenizationConfig:
    priming = Priming(framed(range(first, from_frame), first), from_frame, chunk_frames)
    return DetokenizationConfig(speaker=None, look_ahead=0, priming=priming)


@pytest.fixture
def detokenizer() -> ArithmeticDetokenizer:
    return ArithmeticDetokenizer()


@pytest.fixture
async def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def scheduler(detokenizer, registry):
    scheduler = StreamScheduler(detokenizer, Chunking(2, 8, 4, 20), DetokenizerMetrics(registry), Watchdog(0))
    yield scheduler
    await scheduler.close()


def framed(values: Sequence[int], first: int = 0) -> Frames:
    """Both codes of a frame are the same."""
    return Frames.of_codes(np.repeat(values, 2).tolist(), codebooks=2, first=first)


async def codes(values: Sequence[int], piece: int = 3, first: int = 0) -> AsyncGenerator[Frames, None]:
    for begin in range(0, len(values), piece):
        yield framed(values[begin : begin + piece], first + begin)


def samples(chunks: Sequence[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.audio.samples for chunk in chunks])


async def test_every_frame_comes_out_once_and_in_order(scheduler) -> None:
    chunks = await collected(scheduler.decode(FULL, codes(range(50))))
    assert np.array_equal(samples(chunks), np.repeat(np.arange(50), HOP))


async def test_no_codes_give_no_audio(scheduler) -> None:
    assert await collected(scheduler.decode(FULL, codes([]))) == []


async def test_streams_that_wait_together_are_decoded_together(scheduler, detokenizer) -> None:
    streams = [collected(scheduler.decode(SHORT, codes(range(n), 100))) for n in (1, 9, 30, 4, 7, 2)]
    results = await asyncio.gather(*streams)
    assert [len(samples(chunks)) // HOP for chunks in results] == [1, 9, 30, 4, 7, 2]
    assert max(detokenizer.batches) > 1
    assert max(detokenizer.batches) <= 4


@pytest.mark.parametrize("piece", [1, 3, 40])
async def test_the_cuts_follow_from_the_codes_alone(scheduler, detokenizer, piece: int) -> None:
    await collected(scheduler.decode(SHORT, codes(range(40), piece)))
    assert detokenizer.sizes == [2, 3, 4, 6, 8, 8, 8, 1]


async def test_codes_that_come_during_a_step_change_no_cut(scheduler, detokenizer) -> None:
    in_step, go_on = threading.Event(), threading.Event()
    arithmetic = detokenizer.step

    def held(items):
        in_step.set()
        assert go_on.wait(60)
        return arithmetic(items)

    async def two_during_the_first_step() -> AsyncGenerator[Frames, None]:
        yield framed([0, 1, 2])
        await asyncio.to_thread(in_step.wait)
        yield framed([3, 4], first=3)
        go_on.set()
        while len(detokenizer.sizes) < 1:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        yield framed(range(5, 20), first=5)

    detokenizer.step = held
    await collected(scheduler.decode(SHORT, two_during_the_first_step()))
    assert detokenizer.sizes == [2, 3, 4, 6, 5]


async def test_end_that_comes_late_changes_no_cut(scheduler, detokenizer) -> None:
    async def end_comes_late() -> AsyncGenerator[Frames, None]:
        yield framed(range(5))  # Two chunks, to the code.
        while len(detokenizer.sizes) < 1:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)

    await collected(scheduler.decode(SHORT, codes(range(5), 5)))
    await collected(scheduler.decode(SHORT, end_comes_late()))
    assert detokenizer.sizes == [2, 3, 2, 3]


async def test_the_first_chunk_waits_for_its_look_ahead(scheduler, detokenizer) -> None:
    await collected(scheduler.decode(looking(2), codes(range(10))))
    await collected(scheduler.decode(looking(99), codes(range(10))))
    assert detokenizer.sizes == [4, 6, 5, 5]


async def test_the_listener_who_runs_out_first_is_served_first(detokenizer, registry) -> None:
    one_stream_a_step = Chunking(2, 8, 4, 8)
    scheduler = StreamScheduler(detokenizer, one_stream_a_step, DetokenizerMetrics(registry), Watchdog(0))
    early = [scheduler.decode(SHORT, codes(range(100 * n, 100 * n + 90), 90)) for n in (1, 2, 3, 4)]
    for stream in early:
        await anext(stream)
    before = len(detokenizer.served)
    await collected(scheduler.decode(SHORT, codes(range(500, 502), 2)))
    assert detokenizer.served[before:].index(5) <= 2
    for stream in early:
        await stream.aclose()
    await scheduler.close()


async def test_chunks_that_wait_and_audio_in_hand_are_counted(scheduler, registry) -> None:
    async def seven_then_wait() -> AsyncGenerator[Frames, None]:
        yield framed(range(7))
        await asyncio.Event().wait()

    stream = scheduler.decode(SHORT, seven_then_wait())
    for _ in range(2):
        await anext(stream)
    assert registry.get_sample_value("voxline_detokenizer_backlog_audio_seconds") == 2 / 50
    assert registry.get_sample_value("voxline_detokenizer_queue_seconds_count") == 2
    await stream.aclose()
    assert registry.get_sample_value("voxline_detokenizer_backlog_audio_seconds") == 0


async def test_a_step_takes_no_more_frames_than_a_first_chunk_can_wait_for(scheduler, detokenizer) -> None:
    await asyncio.gather(*(collected(scheduler.decode(SHORT, codes(range(90), 90))) for _ in range(4)))
    assert max(detokenizer.batches) == 4
    assert detokenizer.largest_step <= 20


async def test_an_error_in_the_frames_reaches_their_reader_and_leaves_others_alone(scheduler) -> None:
    async def broken() -> AsyncGenerator[Frames, None]:
        yield framed([1, 2])
        raise InvalidRequest("no frame", field="frames")

    bad, good = collected(scheduler.decode(FULL, broken())), collected(scheduler.decode(FULL, codes(range(20))))
    error, chunks = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(error, InvalidRequest)
    assert error.field == "frames"
    assert len(samples(chunks)) == 20 * HOP


async def test_a_wrong_speaker_is_refused_before_anything_is_read(scheduler) -> None:
    with pytest.raises(InvalidRequest, match="nobody knows"):
        await collected(scheduler.decode(DetokenizationConfig(speaker=UNKNOWN), codes(range(3))))


async def test_chunks_tell_their_frames(scheduler) -> None:
    chunks = await collected(scheduler.decode(SHORT, codes(range(10))))
    assert [(chunk.first_frame, chunk.frame_count) for chunk in chunks] == [(0, 2), (2, 3), (5, 4), (9, 1)]
    assert all(len(chunk.audio.samples) == chunk.frame_count * HOP for chunk in chunks)


async def test_a_stream_that_is_primed_is_cut_as_the_lost_one(scheduler, detokenizer, registry) -> None:
    """Which had sent chunks of 2, 3, 4 and 6 frames, and would have gone on with 8."""
    chunks = await collected(scheduler.decode(primed(7, 15, 4, 6), codes(range(15, 32), first=15)))
    assert detokenizer.sizes == [2, 6, 8, 8, 1]
    assert [(chunk.first_frame, chunk.frame_count) for chunk in chunks] == [(15, 8), (23, 8), (31, 1)]
    assert np.array_equal(samples(chunks), np.repeat(np.arange(15, 32), HOP))
    assert registry.get_sample_value("voxline_detokenizer_primed_frames_total") == 8


async def test_a_stream_that_had_sent_its_end_sends_nothing_more(scheduler) -> None:
    assert await collected(scheduler.decode(primed(0, 5, 2, 3), codes([]))) == []


@pytest.mark.parametrize(
    ("priming", "field"),
    [
        ((12, 15, 2, 3), "priming.frames"),
        ((0, 5, 2), "priming.chunk_frames"),
        ((0, 5, 2, 3, 1), "priming.chunk_frames"),
        ((0, 5, 2, 0, 3), "priming.chunk_frames"),
        ((7, 15), "priming.chunk_frames"),
        ((7, 15, 16), "priming.chunk_frames"),
    ],
)
async def test_priming_that_cannot_be_is_refused(scheduler, priming: tuple[int, ...], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await collected(scheduler.decode(primed(*priming), codes([])))
    assert caught.value.field == field


async def test_leaving_frees_the_stream_and_closes_its_codes(scheduler, registry) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Frames, None]:
        try:
            for first in itertools.count(step=3):
                yield framed([1, 2, 3], first)
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    stream = scheduler.decode(FULL, endless())
    await anext(stream)
    assert registry.get_sample_value("voxline_detokenizer_streams") == 1
    await stream.aclose()
    assert closed.is_set()
    assert registry.get_sample_value("voxline_detokenizer_streams") == 0


async def test_a_model_that_fails_ends_every_stream_so_that_another_replica_may_go_on(scheduler) -> None:
    async def piece_then_wait() -> AsyncGenerator[Frames, None]:
        yield framed([1])
        await asyncio.Event().wait()

    waiting = asyncio.create_task(collected(scheduler.decode(FULL, piece_then_wait())))
    for values in ([BREAKS], [1]):
        with pytest.raises(StageUnavailable):
            await collected(scheduler.decode(FULL, codes(values)))
    with pytest.raises(StageUnavailable):
        await waiting
    assert isinstance(scheduler.failed.exception(), RuntimeError)


async def test_step_that_hangs_is_noticed(detokenizer, registry) -> None:
    watchdog, released = Watchdog(0.1), threading.Event()
    detokenizer.step = lambda items: released.wait()
    scheduler = StreamScheduler(detokenizer, Chunking(2, 8, 4, 20), DetokenizerMetrics(registry), watchdog)
    decoding = asyncio.create_task(collected(scheduler.decode(SHORT, codes(range(20)))))
    with pytest.raises(Stalled):
        await watchdog.failed
    assert not decoding.done()
    released.set()
    await asyncio.gather(decoding, return_exceptions=True)
    await asyncio.gather(scheduler.close(), return_exceptions=True)
