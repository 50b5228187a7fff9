"""gRPC side of the LLM stage. Whatever it raises, the server's interceptor turns into a status."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Protocol

from services.contract.generation import GenerationRequest, Progress
from services.contract.model import Revision
from services.contract.speaker import SpeakerStore
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import llm_pb2, llm_pb2_grpc


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
        named = config.speaker.speaker if config.speaker.HasField("speaker") else None
        digest = config.speaker.speaker.digest
        async with self._speakers.exchange(digest) as wanted:
            if digest:
                yield llm_pb2.GenerateResponse(wanted_speaker=digest if wanted else b"")
            if wanted:
                self._speakers.keep(digest, await _speaker_state(requests))
        request = GenerationRequest.from_proto(config, self._speakers.speaker(named, "speaker.speaker"))
        async with aclosing(self._model.generate(request)) as generation:
            async for progress in generation:
                yield progress.to_proto()


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
