"""The detokenizer's messages, with a codec of two codebooks that is as simple as arithmetic."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.codec.chunking import Chunking
from services.codec.detokenizer_servicer import DetokenizerServicer
from services.codec.metrics import DetokenizerMetrics
from services.codec.stream_scheduler import StreamScheduler
from services.contract.detokenization import DetokenizationConfig
from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.speaker import Speaker, SpeakerStore
from services.runtime.errors import InvalidRequest
from services.runtime.streams import collected
from services.runtime.watchdog import Watchdog
from voxline.stages.v1 import detokenizer_pb2

from .arithmetic import ArithmeticDetokenizer, Counter

LARGE = Speaker(bytes(range(256)) * 100)
CONFIG = DetokenizationConfig(speaker=LARGE, look_ahead=0)


class Recorder(ArithmeticDetokenizer):
    def __init__(self) -> None:
        super().__init__()
        self.speakers: list[Speaker | None] = []

    def open(self, speaker: Speaker | None, look_ahead: int | None) -> Counter:
        self.speakers.append(speaker)
        return super().open(speaker, look_ahead)


@pytest.fixture
def detokenizer() -> Recorder:
    return Recorder()


@pytest.fixture
def speakers() -> SpeakerStore:
    return SpeakerStore()


@pytest.fixture
async def servicer(detokenizer: Recorder, speakers: SpeakerStore) -> AsyncIterator[DetokenizerServicer]:
    metrics = DetokenizerMetrics(CollectorRegistry())
    scheduler = StreamScheduler(detokenizer, Chunking(2, 8, 4, 20), metrics, Watchdog(0))
    yield DetokenizerServicer(scheduler, detokenizer.frame_format, Revision(), speakers)
    await scheduler.close()


def config(of: DetokenizationConfig = CONFIG) -> detokenizer_pb2.DetokenizeRequest:
    return detokenizer_pb2.DetokenizeRequest(config=of.to_proto())


def frames(*values: int, first: int = 0) -> detokenizer_pb2.DetokenizeRequest:
    """Both codes of a frame are the same."""
    made = Frames.of_codes(np.repeat(values, 2).tolist(), codebooks=2, first=first)
    return detokenizer_pb2.DetokenizeRequest(frames=made.to_proto())


def state(of: Speaker = LARGE) -> detokenizer_pb2.DetokenizeRequest:
    return detokenizer_pb2.DetokenizeRequest(speaker_state=of.state)


async def answers(
    servicer: DetokenizerServicer, *requests: detokenizer_pb2.DetokenizeRequest
) -> list[detokenizer_pb2.DetokenizeResponse]:
    async def sent() -> AsyncIterator[detokenizer_pb2.DetokenizeRequest]:
        for request in requests:
            yield request

    return await collected(servicer.Detokenize(sent(), object()))


def heard(responses: Sequence[detokenizer_pb2.DetokenizeResponse]) -> list[float]:
    """The value of each frame."""
    return np.frombuffer(b"".join(response.audio.samples for response in responses), np.float32)[::2].tolist()


@pytest.mark.parametrize("place", [1, 2, 3])
async def test_a_speakers_state_is_asked_for_and_may_come_between_frames(
    servicer: DetokenizerServicer, detokenizer: Recorder, place: int
) -> None:
    messages = [config(), frames(1, 2, 3), frames(4, 5, first=3)]
    messages.insert(place, state())
    first, *chunks = await answers(servicer, *messages)
    assert first == detokenizer_pb2.DetokenizeResponse(wanted_speaker=LARGE.digest)
    assert heard(chunks) == [1, 2, 3, 4, 5]
    assert detokenizer.speakers == [LARGE]


async def test_a_speaker_that_is_known_is_not_asked_for_again(
    servicer: DetokenizerServicer, detokenizer: Recorder
) -> None:
    await answers(servicer, config(), state(), frames(1))
    assert heard(await answers(servicer, config(), frames(2))) == [2]
    assert detokenizer.speakers == [LARGE, LARGE]


async def test_a_speaker_that_another_stage_of_the_process_was_sent_is_known(
    servicer: DetokenizerServicer, speakers: SpeakerStore
) -> None:
    speakers.keep(LARGE.digest, LARGE.state)
    assert heard(await answers(servicer, config(), frames(1))) == [1]


async def test_a_family_without_speakers_needs_none(servicer: DetokenizerServicer, detokenizer: Recorder) -> None:
    assert heard(await answers(servicer, config(DetokenizationConfig(speaker=None)), frames(7))) == [7]
    assert detokenizer.speakers == [None]


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "config"),
        ([frames(1)], "config"),
        ([config(), frames(1)], "speaker_state"),
        ([config(), state(Speaker(b"another")), frames(1)], "speaker_state"),
        ([config(), config(), state()], "frames"),
        ([config(), state(), state()], "frames"),
        ([config(DetokenizationConfig(speaker=None)), state()], "frames"),
        ([config(DetokenizationConfig(speaker=None)), detokenizer_pb2.DetokenizeRequest()], "frames"),
        ([config(DetokenizationConfig(speaker=None)), frames(1, 2), frames(3, first=3)], "frames.first_frame"),
        ([config(DetokenizationConfig(speaker=None)), frames(1, 2), frames(2, first=1)], "frames.first_frame"),
        ([config(DetokenizationConfig(speaker=None)), frames(1000)], "frames"),
    ],
)
async def test_what_breaks_the_contract_names_its_field(
    servicer: DetokenizerServicer, messages: list[detokenizer_pb2.DetokenizeRequest], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await answers(servicer, *messages)
    assert caught.value.field == field


async def test_frames_that_prime_are_checked(servicer: DetokenizerServicer) -> None:
    request = config(DetokenizationConfig(speaker=None))
    request.config.priming.frames.width = 1
    request.config.priming.frames.codes.values.append(3)
    with pytest.raises(InvalidRequest) as caught:
        await answers(servicer, request)
    assert caught.value.field == "priming.frames"
