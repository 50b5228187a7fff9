"""What a detokenizer stage is asked for, and what it answers."""

from dataclasses import dataclass
from itertools import accumulate

from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.speaker import Speaker
from services.runtime.audio import Audio
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import audio_pb2, detokenizer_pb2


@dataclass(frozen=True)
class Priming:
    """Where to go on for a replica that was lost. `frames`: those before the ones that come next, from 0 or from the
    left field before `from_frame`; `from_frame`: whose audio is sent first; `chunk_frames`: sizes of the last chunks of
    audio before it, those that `frames` reaches into; the first of these may be left out if another follows.
    """

    frames: Frames
    from_frame: int
    chunk_frames: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.frames.first <= self.from_frame <= self.frames.end:
            raise InvalidRequest("from_frame lies outside of the frames that prime.", field="priming.from_frame")
        cut = sum(self.chunk_frames)
        fits = 0 < cut <= self.from_frame if self.frames.first else cut == self.from_frame
        if not fits or 0 in self.chunk_frames:
            raise InvalidRequest("These are no chunks of the frames before.", field="priming.chunk_frames")

    @property
    def chunk_ends(self) -> list[int]:
        """The frames behind each of the chunks, as far as they lie behind the first of `frames`; ascending."""
        ends = accumulate((-size for size in reversed(self.chunk_frames)), initial=self.from_frame)
        return sorted(end for end in ends if end > self.frames.first)

    def to_proto(self) -> detokenizer_pb2.Priming:
        return detokenizer_pb2.Priming(
            frames=self.frames.to_proto(), from_frame=self.from_frame, chunk_frames=self.chunk_frames
        )

    @classmethod
    def from_proto(cls, message: detokenizer_pb2.Priming) -> "Priming":
        """Raises InvalidRequest."""
        frames = Frames.from_proto(message.frames, "priming.frames")
        return cls(frames, message.from_frame, tuple(message.chunk_frames))


@dataclass(frozen=True, kw_only=True)
class DetokenizationConfig:
    """Of one utterance. `speaker` is None for a family whose frames alone make the sound; `look_ahead` in frames, None
    for the whole right field; `revision`: what is expected to be served.
    """

    speaker: Speaker | None
    look_ahead: int | None = None
    priming: Priming | None = None
    revision: Revision = Revision()

    def to_proto(self) -> detokenizer_pb2.DetokenizeConfig:
        return detokenizer_pb2.DetokenizeConfig(
            revision=self.revision.to_proto(),
            speaker=None if self.speaker is None else self.speaker.to_proto(),
            look_ahead_frames=self.look_ahead,
            priming=None if self.priming is None else self.priming.to_proto(),
        )

    @classmethod
    def from_proto(cls, message: detokenizer_pb2.DetokenizeConfig, speaker: Speaker | None) -> "DetokenizationConfig":
        """`speaker`: of the message, with its state. Raises InvalidRequest."""
        return cls(
            speaker=speaker,
            look_ahead=message.look_ahead_frames if message.HasField("look_ahead_frames") else None,
            priming=Priming.from_proto(message.priming) if message.HasField("priming") else None,
            revision=Revision.from_proto(message.revision),
        )


@dataclass(frozen=True)
class Chunk:
    """Audio of `frame_count` frames from frame `first_frame` on."""

    audio: Audio
    first_frame: int
    frame_count: int

    @property
    def end_frame(self) -> int:
        return self.first_frame + self.frame_count

    def to_proto(self) -> detokenizer_pb2.DetokenizeResponse:
        audio = audio_pb2.Audio(samples=self.audio.to_bytes(), sample_rate_hertz=self.audio.sample_rate)
        return detokenizer_pb2.DetokenizeResponse(
            audio=audio, first_frame=self.first_frame, frame_count=self.frame_count
        )

    @classmethod
    def from_proto(cls, message: detokenizer_pb2.DetokenizeResponse) -> "Chunk":
        audio = Audio.from_bytes(message.audio.samples, message.audio.sample_rate_hertz)
        return cls(audio, message.first_frame, message.frame_count)
