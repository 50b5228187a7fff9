"""DetokenizerService: messages to frames, chunks to messages."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Protocol

from services.codec.detokenize_requests import DetokenizeRequests
from services.contract.detokenization import Chunk, DetokenizationConfig
from services.contract.frames import FrameFormat, Frames
from services.contract.model import Revision
from services.contract.speaker import SpeakerStore
from voxline.stages.v1 import detokenizer_pb2, detokenizer_pb2_grpc


class Decoder(Protocol):
    """What makes frames audible: a StreamScheduler, or a family's own."""

    def decode(
        self, config: DetokenizationConfig, frames: AsyncGenerator[Frames, None]
    ) -> AsyncGenerator[Chunk, None]: ...


class DetokenizerServicer(detokenizer_pb2_grpc.DetokenizerServiceServicer):
    """`speakers`: those that the process was sent, shared with what else it serves."""

    def __init__(self, decoder: Decoder, frames: FrameFormat, revision: Revision, speakers: SpeakerStore) -> None:
        self._decoder = decoder
        self._frames = frames
        self._revision = revision
        self._speakers = speakers

    async def Detokenize(  # noqa: N802
        self, request_iterator: AsyncIterator[detokenizer_pb2.DetokenizeRequest], context: object
    ) -> AsyncGenerator[detokenizer_pb2.DetokenizeResponse, None]:
        requests = DetokenizeRequests(request_iterator, self._frames)
        message = await requests.config()
        self._revision.expect(Revision.from_proto(message.revision))
        digest = message.speaker.digest
        async with self._speakers.exchange(digest) as wanted:
            if digest:
                yield detokenizer_pb2.DetokenizeResponse(wanted_speaker=digest if wanted else b"")
            if wanted:
                self._speakers.keep(digest, await requests.speaker_state())
        named = message.speaker if message.HasField("speaker") else None
        config = DetokenizationConfig.from_proto(message, self._speakers.speaker(named, "speaker"))
        if config.priming is not None:
            self._frames.check(config.priming.frames, "priming.frames")
        first = config.priming.frames.end if config.priming else 0
        async with aclosing(self._decoder.decode(config, requests.frames(first))) as chunks:
            async for chunk in chunks:
                yield chunk.to_proto()
