"""What a tokenizer stage is asked, and what it makes of a recording."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.speaker import Speaker
from services.runtime.errors import TooLarge
from voxline.stages.v1 import tokenizer_pb2

# Version of what a tokenizer makes of a recording before it hears it, a part of the codec's revision.
CLEANING = 1
# Of a recording, in one message: what is copied in one go holds up all else.
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class TokenizationRequest:
    """`pieces`: of a whole file; `keep`: give the recording back; `longest`: seconds, of a longer recording the part
    with the most speech counts; None: all of it.
    """

    pieces: Sequence[bytes]
    revision: Revision = Revision()
    keep: bool = False
    longest: float | None = None

    @classmethod
    def of(
        cls, audio: bytes, revision: Revision, keep: bool = False, longest: float | None = None
    ) -> "TokenizationRequest":
        return cls(tuple(_cut(audio)), revision, keep, longest)

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    def to_protos(self) -> Iterator[tokenizer_pb2.TokenizeRequest]:
        first = tokenizer_pb2.TokenizeRequest(
            revision=self.revision.to_proto(), return_recording=self.keep, longest_seconds=self.longest or 0.0
        )
        for piece in self.pieces:
            first.audio = piece
            yield first
            first = tokenizer_pb2.TokenizeRequest()

    @classmethod
    async def from_protos(
        cls, messages: AsyncIterator[tokenizer_pb2.TokenizeRequest], most: int
    ) -> "TokenizationRequest":
        """Raises TooLarge at the piece that makes it more than `most` bytes."""
        first, size = tokenizer_pb2.TokenizeRequest(), 0
        pieces: list[bytes] = []
        async for message in messages:
            if not pieces:
                first = message
            pieces.append(message.audio)
            size += len(message.audio)
            if size > most:
                raise TooLarge(f"the audio has more than the {most} bytes that are allowed", field="audio")
        revision, longest = Revision.from_proto(first.revision), first.longest_seconds
        return cls(pieces, revision, first.return_recording, longest if longest > 0 else None)


@dataclass(frozen=True)
class TokenizedRecording:
    """`frames` of all that was heard, which lasts `seconds` and begins `start` seconds after the file does;
    `recording`: mono FLAC, empty unless asked for.
    """

    speaker: Speaker
    frames: Frames
    seconds: float
    recording: bytes = b""
    start: float = 0.0

    def to_protos(self) -> Iterator[tokenizer_pb2.TokenizeResponse]:
        response = tokenizer_pb2.TokenizeResponse(
            speaker=self.speaker.whole_to_proto(),
            frames=self.frames.to_proto(),
            duration_seconds=self.seconds,
            start_seconds=self.start,
        )
        for piece in _cut(self.recording):
            response.recording = piece
            yield response
            response = tokenizer_pb2.TokenizeResponse()

    @classmethod
    def from_protos(cls, messages: Sequence[tokenizer_pb2.TokenizeResponse]) -> "TokenizedRecording":
        """At least one."""
        first = messages[0]
        return cls(
            Speaker.from_proto(first.speaker),
            Frames.from_proto(first.frames),
            first.duration_seconds,
            b"".join(message.recording for message in messages),
            first.start_seconds,
        )


def _cut(data: bytes) -> Iterator[bytes]:
    """At least one piece."""
    return (data[start : start + _PIECE_BYTES] for start in range(0, max(1, len(data)), _PIECE_BYTES))
