"""What a tokenizer stage makes of a recording."""

from dataclasses import dataclass

from services.contract.frames import Frames
from services.contract.speaker import Speaker
from voxline.stages.v1 import tokenizer_pb2


@dataclass(frozen=True)
class TokenizedRecording:
    """`frames` of the whole recording, which lasts `seconds`; `recording`: mono FLAC, empty unless asked for."""

    speaker: Speaker
    frames: Frames
    seconds: float
    recording: bytes = b""

    def to_proto(self) -> tokenizer_pb2.TokenizeResponse:
        return tokenizer_pb2.TokenizeResponse(
            speaker=self.speaker.whole_to_proto(),
            frames=self.frames.to_proto(),
            duration_seconds=self.seconds,
            recording=self.recording,
        )

    @classmethod
    def from_proto(cls, message: tokenizer_pb2.TokenizeResponse) -> "TokenizedRecording":
        return cls(
            Speaker.from_proto(message.speaker),
            Frames.from_proto(message.frames),
            message.duration_seconds,
            message.recording,
        )
