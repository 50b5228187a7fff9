"""Utterances that another replica began: the audio is what the first would have sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.codec.chunking import Chunking
from services.codec.families.spark.decoder import DecoderStream, SparkDetokenizer
from services.codec.metrics import DetokenizerMetrics
from services.codec.stream_scheduler import StreamScheduler
from services.contract.detokenization import Chunk, DetokenizationConfig, Priming
from services.contract.frames import Frames
from services.runtime.compiled import CACHE
from services.runtime.streams import collected
from services.runtime.watchdog import Watchdog

ROOT = Path(__file__).parents[5]
NAMES = ["even", "odd", "narrow", "wide", "tiny", "bundled"]
LOOK_AHEADS = [0, "usual", None]
LENGTH = 200
CHUNKING = Chunking(first_frames=10, max_frames=25, max_batch=16, max_step_frames=100)


class Replicas:
    """Of one voice, however many: one scheduler stands for all, since it keeps nothing between utterances."""

    def __init__(self, detokenizer: SparkDetokenizer, look_ahead: int | str | None) -> None:
        self.detokenizer = detokenizer
        self.look_ahead = detokenizer.usual_look_ahead if isinstance(look_ahead, str) else look_ahead
        self._registry = CollectorRegistry()
        self.scheduler: StreamScheduler[DecoderStream] = StreamScheduler(
            detokenizer, CHUNKING, DetokenizerMetrics(self._registry), Watchdog(0)
        )
        codes = np.random.default_rng(7).integers(0, detokenizer.codebook_size, LENGTH)
        self.frames = Frames.of_codes(codes.tolist())

    async def decode(self, priming: Priming | None = None, piece: int = 10) -> list[Chunk]:
        config = DetokenizationConfig(speaker=self.detokenizer.any_speaker, look_ahead=self.look_ahead, priming=priming)
        first = priming.frames.end if priming else 0
        return await collected(self.scheduler.decode(config, pieces(self.frames.since(first), piece)))

    def priming(self, sent: list[Chunk], held: int) -> Priming:
        """What a caller who has heard `sent` sends, of frames that end with `held`."""
        end = sent[-1].end_frame
        first = max(0, end - self.detokenizer.left_field)
        reached = [chunk.frame_count for chunk in sent if chunk.end_frame > first]
        return Priming(between(self.frames, first, held), end, tuple(reached))

    @property
    def right(self) -> int:
        full = self.detokenizer.right_field
        return full if self.look_ahead is None else min(self.look_ahead, full)

    def primed(self) -> float:
        return self._registry.get_sample_value("voxline_detokenizer_primed_frames_total") or 0.0


def between(frames: Frames, first: int, end: int) -> Frames:
    return Frames(first, frames.values[first:end])


async def pieces(frames: Frames, piece: int) -> AsyncGenerator[Frames, None]:
    for first in range(frames.first, frames.end, piece):
        yield Frames(first, frames.since(first).values[:piece])


def samples(chunks: list[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.audio.samples for chunk in chunks] or [np.zeros(0, np.float32)])


def voice(name: str, checkpoints: dict[str, Path]) -> Path:
    bundled = {"tiny": ROOT / "tests/parity/spark-tiny/model", "bundled": ROOT / "models/voxline-small"}
    return (checkpoints | bundled)[name]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LOOK_AHEADS, ids=str)
async def replicas(request: pytest.FixtureRequest, name: str, checkpoints: dict[str, Path]) -> AsyncIterator[Replicas]:
    made = Replicas(SparkDetokenizer.load(voice(name, checkpoints)), request.param)
    yield made
    await made.scheduler.close()


def losses(chunks: list[Chunk]) -> Iterator[tuple[list[Chunk], list[Chunk]]]:
    """What was sent before the loss, and what was not, for each chunk that may be the last."""
    for sent in range(1, len(chunks) + 1):
        yield chunks[:sent], chunks[sent:]


async def test_audio_goes_on_to_the_bit_wherever_the_first_replica_is_lost(replicas: Replicas) -> None:
    undisturbed = await replicas.decode()
    assert len(undisturbed) >= 6
    for sent, missing in losses(undisturbed):
        end = sent[-1].end_frame
        went_on = await replicas.decode(replicas.priming(sent, held=end))
        assert [chunk.first_frame for chunk in went_on] == [chunk.first_frame for chunk in missing]
        assert np.array_equal(samples(went_on), samples(missing))


async def test_no_more_frames_are_decoded_again_than_both_fields_hold(replicas: Replicas) -> None:
    sent = (await replicas.decode())[:-1]
    for chunks, _ in losses(sent):
        before = replicas.primed()
        await replicas.decode(replicas.priming(chunks, held=chunks[-1].end_frame))
        again = replicas.primed() - before
        assert again == min(chunks[-1].end_frame, replicas.detokenizer.left_field) + replicas.right
        assert again <= replicas.detokenizer.left_field + replicas.detokenizer.right_field


@pytest.mark.parametrize("name", ["even", "bundled"], indirect=True)
async def test_it_makes_no_difference_which_frames_prime_and_which_follow(replicas: Replicas) -> None:
    undisturbed = await replicas.decode()
    sent, missing = undisturbed[:4], undisturbed[4:]
    end = sent[-1].end_frame
    for held, piece in ((end, 1), (end + replicas.right // 2, 7), (end + replicas.right, 200), (LENGTH, 200)):
        went_on = await replicas.decode(replicas.priming(sent, held), piece)
        assert np.array_equal(samples(went_on), samples(missing))


@pytest.mark.parametrize("name", ["even", "bundled"], indirect=True)
async def test_all_frames_from_the_first_prime_as_well(replicas: Replicas) -> None:
    undisturbed = await replicas.decode()
    sizes = [chunk.frame_count for chunk in undisturbed]
    for count, end in enumerate(accumulate(sizes), start=1):
        priming = Priming(between(replicas.frames, 0, end), end, tuple(sizes[:count]))
        assert np.array_equal(samples(await replicas.decode(priming)), samples(undisturbed[count:]))


@pytest.mark.parametrize("name", ["even", "bundled"], indirect=True)
async def test_a_chunk_that_is_not_wholly_primed_may_be_left_out(replicas: Replicas) -> None:
    undisturbed = await replicas.decode()
    for sent, missing in losses(undisturbed):
        whole = replicas.priming(sent, held=sent[-1].end_frame)
        partly = sum(whole.chunk_frames) > whole.from_frame - whole.frames.first and len(whole.chunk_frames) > 1
        priming = Priming(whole.frames, whole.from_frame, whole.chunk_frames[partly:])
        assert np.array_equal(samples(await replicas.decode(priming)), samples(missing))


@pytest.mark.parametrize("name", ["even", "bundled"], indirect=True)
async def test_a_replacement_may_be_lost_too(replicas: Replicas) -> None:
    undisturbed = await replicas.decode()
    first = await replicas.decode(replicas.priming(undisturbed[:2], held=undisturbed[1].end_frame))
    heard = [*undisturbed[:2], *first[:3]]
    second = await replicas.decode(replicas.priming(heard, held=heard[-1].end_frame + 3))
    assert np.array_equal(samples([*heard, *second]), samples(undisturbed))


@pytest.mark.parametrize("name", ["even", "bundled"], indirect=True)
async def test_a_replica_that_is_lost_before_it_sends_anything_is_primed_with_what_it_had(replicas: Replicas) -> None:
    nothing_sent = Priming(between(replicas.frames, 0, 37), 0, ())
    assert np.array_equal(samples(await replicas.decode(nothing_sent)), samples(await replicas.decode()))
    assert replicas.primed() == 0


@pytest.mark.parametrize("look_ahead", LOOK_AHEADS, ids=str)
async def test_on_torchs_operators_audio_goes_on_within_rounding(
    name: str, checkpoints: dict[str, Path], look_ahead: int | str | None
) -> None:
    replicas = Replicas(SparkDetokenizer.load(voice(name, checkpoints), cache=None), look_ahead)
    undisturbed = await replicas.decode()
    for sent, missing in losses(undisturbed):
        went_on = await replicas.decode(replicas.priming(sent, held=sent[-1].end_frame))
        np.testing.assert_allclose(samples(went_on), samples(missing), rtol=0, atol=1e-5)
    await replicas.scheduler.close()


def test_the_compiled_operations_are_what_is_tested(checkpoints: dict[str, Path]) -> None:
    assert SparkDetokenizer.load(checkpoints["even"], cache=CACHE).engine == "cpu"
