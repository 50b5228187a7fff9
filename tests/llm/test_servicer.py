"""What the stage asks of whatever model is behind it. This one knows no token ids, and its speakers are large."""

from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np
import pytest

from services.contract.frames import Frames
from services.contract.generation import Finish, FinishReason, GenerationRequest, ModelVoice, Progress
from services.contract.model import Revision
from services.contract.speaker import Speaker, SpeakerStore
from services.llm.servicer import LlmServicer
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import llm_pb2

SPEAKER, SMALL = Speaker(bytes(range(256)) * 1000), Speaker(b"small")
FRAMES = Frames(0, np.zeros((2, 32), np.float32))


class Scripted:
    """Draws the same for everybody."""

    def __init__(self) -> None:
        self.requests: list[GenerationRequest] = []

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        self.requests.append(request)
        yield Progress(request.voice.speaker, FRAMES, Finish(FinishReason.STOP, 1, 2, 3))


class Stage:
    """`asked`: how often a state was asked for."""

    def __init__(self) -> None:
        self.model = Scripted()
        self.store = SpeakerStore()
        self.asked = 0

    async def generate(self, speaker: Speaker, answer: llm_pb2.GenerateRequest | None) -> list[Progress]:
        """`answer`: to who asks for the state, if anything."""
        servicer = LlmServicer(self.model, Revision(), self.store)
        request = GenerationRequest(text="Hi", voice=ModelVoice("any", speaker))

        async def requests() -> AsyncIterator[llm_pb2.GenerateRequest]:
            yield llm_pb2.GenerateRequest(config=request.to_proto())
            if answer is not None:
                yield answer

        told = []
        async for response in servicer.Generate(requests(), None):
            if response.wanted_speaker:
                assert response == llm_pb2.GenerateResponse(wanted_speaker=speaker.digest)
                self.asked += 1
            elif response != llm_pb2.GenerateResponse():  # Empty: the state is known.
                told.append(Progress.from_proto(response))
        return told


@pytest.fixture
def stage() -> Stage:
    return Stage()


ANSWER = llm_pb2.GenerateRequest(speaker_state=SPEAKER.state)


async def test_state_of_a_large_speaker_is_asked_for_once(stage: Stage) -> None:
    for _ in range(3):
        (told,) = await stage.generate(SPEAKER, None if stage.asked else ANSWER)
        assert told == Progress(SPEAKER, FRAMES, Finish(FinishReason.STOP, 1, 2, 3))
    assert stage.asked == 1
    assert [request.voice.speaker for request in stage.model.requests] == [SPEAKER] * 3


async def test_state_that_another_stage_of_the_process_knows_is_not_asked_for(stage: Stage) -> None:
    stage.store.keep(SPEAKER.digest, SPEAKER.state)
    assert await stage.generate(SPEAKER, None)
    assert not stage.asked


async def test_state_of_a_small_speaker_comes_with_the_request(stage: Stage) -> None:
    assert await stage.generate(SMALL, None)
    assert not stage.asked


@pytest.mark.parametrize(
    "answer",
    [
        None,
        llm_pb2.GenerateRequest(),
        llm_pb2.GenerateRequest(config=llm_pb2.GenerateConfig()),
        llm_pb2.GenerateRequest(speaker_state=b""),
        llm_pb2.GenerateRequest(speaker_state=b"another"),
    ],
)
async def test_answer_without_the_state_is_refused(stage: Stage, answer: llm_pb2.GenerateRequest | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await stage.generate(SPEAKER, answer)
    assert caught.value.field == "speaker_state"
    assert not stage.model.requests
