"""DetokenizerService: messages to codes, samples to messages."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Generic

from services.codec.codec import Detokenizer, Stream
from services.codec.stream_scheduler import StreamScheduler
from services.runtime.audio import Audio
from services.runtime.errors import InvalidRequest
from voxline.v1 import audio_pb2, detokenizer_pb2, detokenizer_pb2_grpc


class DetokenizerServicer(detokenizer_pb2_grpc.DetokenizerServiceServicer, Generic[Stream]):
    def __init__(self, detokenizer: Detokenizer[Stream], scheduler: StreamScheduler[Stream]) -> None:
        self._sample_rate = detokenizer.sample_rate
        self._scheduler = scheduler

    async def Detokenize(  # noqa: N802
        self, request_iterator: AsyncIterator[detokenizer_pb2.DetokenizeRequest], context: object
    ) -> AsyncGenerator[detokenizer_pb2.DetokenizeResponse, None]:
        config = await _config(request_iterator)
        look_ahead = config.look_ahead_frames if config.HasField("look_ahead_frames") else None
        chunks = self._scheduler.decode(config.speaker.global_tokens, look_ahead, _codes(request_iterator))
        async with aclosing(chunks):
            async for samples in chunks:
                audio = Audio(samples, self._sample_rate)
                message = audio_pb2.Audio(samples=audio.to_bytes(), sample_rate_hertz=self._sample_rate)
                yield detokenizer_pb2.DetokenizeResponse(audio=message)


async def _config(requests: AsyncIterator[detokenizer_pb2.DetokenizeRequest]) -> detokenizer_pb2.DetokenizeConfig:
    async for request in requests:
        if request.WhichOneof("request") == "config":
            return request.config
        break
    raise InvalidRequest("The first message must be the config.", field="config")


async def _codes(requests: AsyncIterator[detokenizer_pb2.DetokenizeRequest]) -> AsyncGenerator[Sequence[int], None]:
    async for request in requests:
        if request.WhichOneof("request") != "codes":
            raise InvalidRequest("Every message after the first must be codes.", field="codes")
        yield request.codes.values
