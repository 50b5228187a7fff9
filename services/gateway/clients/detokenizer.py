"""The detokenizer stage: a stream of frames -> a stream of audio, by one replica."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import grpc

from services.contract.detokenization import Chunk, DetokenizationConfig
from services.contract.frames import Frames
from services.gateway.clients.speaker_answer import SpeakerAnswer
from services.gateway.deadlines import Deadlines, Patience
from services.runtime import calls
from services.runtime.errors import GenerationFailed
from voxline.stages.v1 import detokenizer_pb2, detokenizer_pb2_grpc


class DetokenizerClient:
    def __init__(self, channel: grpc.aio.Channel, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._patience = Patience("detokenizer")
        self._stub = detokenizer_pb2_grpc.DetokenizerServiceStub(channel)

    async def decode(
        self, config: DetokenizationConfig, frames: AsyncGenerator[Frames, None], owed: Callable[[], bool]
    ) -> AsyncGenerator[Chunk, None]:
        """Owns `frames`, whose error is raised here. Close it to free the stream's state. `owed`: whether the frames
        are there from which the stage makes another chunk.

        Raises the stage's errors, GenerationFailed when it ends before it had all frames, and DeadlineExceeded as
        `Patience` does.
        """
        feed = _Feed(config, frames)
        call = calls.duplex(self._stub.Detokenize, feed.requests())
        async with aclosing(self._in_time(call, owed)) as responses:
            async for response in responses:
                feed.answer.came(bool(response.wanted_speaker))
                if response.HasField("audio"):
                    yield Chunk.from_proto(response)
        if not feed.ended:
            raise GenerationFailed("The detokenizer ended an utterance before it had all frames.")

    async def _in_time(
        self,
        responses: AsyncGenerator[detokenizer_pb2.DetokenizeResponse, None],
        owed: Callable[[], bool],
    ) -> AsyncGenerator[detokenizer_pb2.DetokenizeResponse, None]:
        chunks = 0
        async with aclosing(responses):
            while True:
                seconds = self._deadlines.chunk if chunks else self._deadlines.first_audio
                response = await self._patience.wait(anext(responses, None), seconds, owed)
                if response is None:
                    return
                chunks += response.HasField("audio")
                yield response


class _Feed:
    def __init__(self, config: DetokenizationConfig, frames: AsyncGenerator[Frames, None]) -> None:
        self.answer = SpeakerAnswer(config.speaker)
        self.ended = False
        self._config = config
        self._frames = frames

    async def requests(self) -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
        async with aclosing(self._frames):
            yield detokenizer_pb2.DetokenizeRequest(config=self._config.to_proto())
            if self.answer.expected and await self.answer.wanted():
                assert self._config.speaker is not None
                yield detokenizer_pb2.DetokenizeRequest(speaker_state=self._config.speaker.state)
            async for frames in self._frames:
                yield detokenizer_pb2.DetokenizeRequest(frames=frames.to_proto())
        self.ended = True
