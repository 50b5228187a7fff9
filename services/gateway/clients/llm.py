"""The LLM stage: one segment of text -> its speaker, its frames, its finish, drawn by one replica."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc

from services.contract.generation import GenerationRequest, Progress
from services.contract.speaker import Speaker
from services.gateway.clients.speaker_answer import SpeakerAnswer
from services.gateway.deadlines import Deadlines, Patience
from services.runtime import calls
from services.runtime.errors import GenerationFailed
from voxline.stages.v1 import llm_pb2, llm_pb2_grpc


class LlmClient:
    def __init__(self, channel: grpc.aio.Channel, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._patience = Patience("llm")
        self._stub = llm_pb2_grpc.LlmServiceStub(channel)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        """Ends with a finish. Close it to free the sequence. Raises the stage's errors, GenerationFailed when it
        breaks its order, and DeadlineExceeded as `Patience` does.
        """
        drawn = request.prefix.frames.end if request.prefix else 0
        async with aclosing(self._in_time(self._responses(request))) as responses:
            async for response in responses:
                progress = Progress.from_proto(response)
                if progress.frames is not None:
                    if progress.frames.first != drawn:
                        raise GenerationFailed(f"The llm stage sent frame {progress.frames.first} for {drawn}.")
                    drawn = progress.frames.end
                yield progress
                if progress.finish is not None:
                    return
        raise GenerationFailed("The llm stage ended a generation without saying how it ended.")

    async def _in_time(
        self, responses: AsyncGenerator[llm_pb2.GenerateResponse, None]
    ) -> AsyncGenerator[llm_pb2.GenerateResponse, None]:
        begun = False
        async with aclosing(responses):
            while True:
                seconds = self._deadlines.between_frames if begun else self._deadlines.first_frame
                response = await self._patience.wait(anext(responses, None), seconds, queued=not begun)
                if response is None:
                    return
                begun |= response.HasField("frames")
                yield response

    def _responses(self, request: GenerationRequest) -> AsyncGenerator[llm_pb2.GenerateResponse, None]:
        config = llm_pb2.GenerateRequest(config=request.to_proto())
        if request.voice.speaker is None or request.voice.speaker.inline:
            return calls.duplex_of_one(self._stub.Generate, config)
        return self._introduced(config, request.voice.speaker)

    async def _introduced(
        self, config: llm_pb2.GenerateRequest, speaker: Speaker
    ) -> AsyncGenerator[llm_pb2.GenerateResponse, None]:
        """Sends the state of a large speaker where the stage wants it."""
        answer = SpeakerAnswer(speaker)

        async def requests() -> AsyncGenerator[llm_pb2.GenerateRequest, None]:
            yield config
            if await answer.wanted():
                yield llm_pb2.GenerateRequest(speaker_state=speaker.state)

        async with aclosing(calls.duplex(self._stub.Generate, requests())) as responses:
            async for response in responses:
                answer.came(bool(response.wanted_speaker))
                yield response
