"""gRPC side of the LLM stage. Whatever it raises, the server's interceptor turns into a status."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Protocol

from services.contract.generation import GenerationRequest, Progress
from services.contract.model import Revision
from services.contract.speaker import Speaker, SpeakerStore
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import llm_pb2, llm_pb2_grpc, speaker_pb2


class SpeechModel(Protocol):
    """What draws frames, of whatever kind."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]: ...


class LlmServicer(llm_pb2_grpc.LlmServiceServicer):
    """`speakers`: one a process, whatever it serves. `revision`: of the model."""

    def __init__(self, model: SpeechModel, revision: Revision, speakers: SpeakerStore) -> None:
        self._model = model
        self._revision = revision
        self._speakers = speakers

    async def Generate(  # noqa: N802
        self, requests: AsyncIterator[llm_pb2.GenerateRequest], context: object
    ) -> AsyncGenerator[llm_pb2.GenerateResponse, None]:
        config = await _config(requests)
        self._revision.expect(Revision.from_proto(config.revision))
        wanted = self._wanted(config.speaker.speaker)
        if wanted is not None:
            yield llm_pb2.GenerateResponse(wanted_speaker=wanted)
            self._speakers.keep(wanted, await _speaker_state(requests))
        request = GenerationRequest.from_proto(config, self._speaker(config.speaker))
        async with aclosing(self._model.generate(request)) as generation:
            async for progress in generation:
                yield progress.to_proto()

    def _wanted(self, speaker: speaker_pb2.Speaker) -> bytes | None:
        """The digest of a speaker whose state is not known here; None where there is no such."""
        named = speaker.WhichOneof("identity") == "digest"
        return speaker.digest if named and self._speakers.find(speaker.digest) is None else None

    def _speaker(self, selection: llm_pb2.SpeakerSelection) -> Speaker | None:
        if not selection.HasField("speaker"):
            return None
        speaker = selection.speaker
        match speaker.WhichOneof("identity"):
            case "state":
                return Speaker.from_proto(speaker)
            case "digest":
                state = self._speakers.find(speaker.digest)
                assert state is not None
                return Speaker(state, tuple(speaker.global_tokens))
            case _:
                raise InvalidRequest("A speaker is its state, or the digest of it.", field="speaker.speaker.state")


async def _config(requests: AsyncIterator[llm_pb2.GenerateRequest]) -> llm_pb2.GenerateConfig:
    first = await anext(aiter(requests), None)
    if first is None or not first.HasField("config"):
        raise InvalidRequest("The first request holds the config.", field="config")
    return first.config


async def _speaker_state(requests: AsyncIterator[llm_pb2.GenerateRequest]) -> bytes:
    answer = await anext(aiter(requests), None)
    if answer is None or not answer.HasField("speaker_state"):
        raise InvalidRequest("The state of the speaker was asked for.", field="speaker_state")
    return answer.speaker_state
