"""The messages of one Detokenize call, read in the order in which they are needed."""

from collections.abc import AsyncGenerator, AsyncIterator

from services.contract.frames import FrameFormat, Frames
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import detokenizer_pb2, frames_pb2


class DetokenizeRequests:
    """`expected`: of the frames. Everything raises InvalidRequest for what breaks the contract."""

    def __init__(self, requests: AsyncIterator[detokenizer_pb2.DetokenizeRequest], expected: FrameFormat) -> None:
        self._requests = requests
        self._format = expected
        self._early: list[frames_pb2.Frames] = []

    async def config(self) -> detokenizer_pb2.DetokenizeConfig:
        async for request in self._requests:
            if request.WhichOneof("request") == "config":
                return request.config
            break
        raise InvalidRequest("The first message must be the config.", field="config")

    async def speaker_state(self) -> bytes:
        """Frames may come before it; they are kept for `frames`."""
        async for request in self._requests:
            if request.WhichOneof("request") == "speaker_state":
                return request.speaker_state
            self._early.append(_frames(request))
        raise InvalidRequest("The state of the speaker did not come.", field="speaker_state")

    async def frames(self, first: int) -> AsyncGenerator[Frames, None]:
        """From frame `first` on, without a gap."""
        async for message in self._messages():
            frames = Frames.from_proto(message)
            self._format.check(frames)
            if frames.first != first:
                raise InvalidRequest(f"Frame {first} comes next, not {frames.first}.", field="frames.first_frame")
            first = frames.end
            yield frames

    async def _messages(self) -> AsyncIterator[frames_pb2.Frames]:
        for message in self._early:
            yield message
        async for request in self._requests:
            yield _frames(request)


def _frames(request: detokenizer_pb2.DetokenizeRequest) -> frames_pb2.Frames:
    if request.WhichOneof("request") != "frames":
        raise InvalidRequest("After the config come frames, and the speaker's state if asked for.", field="frames")
    return request.frames
