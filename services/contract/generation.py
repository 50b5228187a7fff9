"""What an LLM stage is asked for, and what it tells."""

from dataclasses import dataclass
from enum import Enum
from typing import Self

from services.contract.design import DesignedVoice
from services.contract.frames import Frames
from services.contract.model import Revision
from services.contract.sampling import Sampling
from services.contract.speaker import Speaker
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import llm_pb2


@dataclass(frozen=True)
class Turn:
    """Something that was said. `speaker`: any name that stands for the same person in all turns, empty for who speaks
    now; `frames` is None where only the words are known.
    """

    text: str
    frames: Frames | None = None
    speaker: str = ""

    def to_proto(self) -> llm_pb2.Turn:
        frames = None if self.frames is None else self.frames.to_proto()
        return llm_pb2.Turn(text=self.text, speaker=self.speaker, frames=frames)

    @classmethod
    def from_proto(cls, message: llm_pb2.Turn, field: str) -> "Turn":
        """`field`: what errors call the message. Raises InvalidRequest."""
        if not message.text.strip():
            raise InvalidRequest("A turn needs its words.", field=f"{field}.text")
        frames = Frames.from_proto(message.frames, f"{field}.frames") if message.HasField("frames") else None
        return cls(message.text, frames, message.speaker)


@dataclass(frozen=True)
class HeardVoice:
    """The speaker of a recording. `context`: the recording with its words, where the speech shall continue it."""

    speaker: Speaker
    context: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class MadeUpVoice:
    """A voice from a design; without a speaker the LLM makes up one."""

    design: DesignedVoice
    speaker: Speaker | None = None
    context: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class ModelVoice:
    """A built-in voice without a design, by its id. A family may know it by a speaker, or need none."""

    id: str
    speaker: Speaker | None = None
    context: tuple[Turn, ...] = ()


VoiceInput = HeardVoice | MadeUpVoice | ModelVoice


@dataclass(frozen=True)
class Pace:
    """How frames are played: `first_frames` make the first sound, then `frames_per_second` are needed;
    `ahead_seconds`: for how long the listener can play already, where another replica began.
    """

    first_frames: int
    frames_per_second: float
    ahead_seconds: float = 0.0

    def to_proto(self) -> llm_pb2.Pace:
        return llm_pb2.Pace(**vars(self))

    @classmethod
    def from_proto(cls, message: llm_pb2.Pace) -> Self:
        """Raises InvalidRequest."""
        if not 0 < message.frames_per_second < float("inf"):
            raise InvalidRequest("frames_per_second must be above 0.", field="pace.frames_per_second")
        return cls(message.first_frames, message.frames_per_second, message.ahead_seconds)


@dataclass(frozen=True)
class Prefix:
    """What was drawn before, from frame 0, and what came with it to go on from there."""

    frames: Frames
    resume: bytes = b""

    def to_proto(self) -> llm_pb2.Prefix:
        return llm_pb2.Prefix(frames=self.frames.to_proto(), resume=self.resume)

    @classmethod
    def from_proto(cls, message: llm_pb2.Prefix) -> Self:
        """Raises InvalidRequest."""
        frames = Frames.from_proto(message.frames, "prefix.frames")
        if frames.first:
            raise InvalidRequest("A prefix starts with frame 0.", field="prefix.frames")
        return cls(frames, message.resume)


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """A segment of text and how to speak it. `language`: BCP-47 tag, empty where the model finds out; without a pace
    frames come as they are drawn; `revision`: what is expected to be served.
    """

    text: str
    voice: VoiceInput
    language: str = ""
    sampling: Sampling = Sampling()
    pace: Pace | None = None
    prefix: Prefix | None = None
    revision: Revision = Revision()

    def to_proto(self) -> llm_pb2.GenerateConfig:
        """Raises InvalidRequest for a value that does not fit the wire."""
        return llm_pb2.GenerateConfig(
            revision=self.revision.to_proto(),
            text=self.text,
            language=self.language,
            speaker=selection_to_proto(self.voice),
            context=[turn.to_proto() for turn in self.voice.context],
            sampling=self.sampling.to_proto(),
            pace=None if self.pace is None else self.pace.to_proto(),
            prefix=None if self.prefix is None else self.prefix.to_proto(),
        )

    @classmethod
    def from_proto(cls, message: llm_pb2.GenerateConfig, speaker: Speaker | None) -> "GenerationRequest":
        """`speaker`: of the selection, with its state. Raises InvalidRequest."""
        return cls(
            text=message.text,
            voice=voice_from_proto(message, speaker),
            language=message.language,
            sampling=Sampling.from_proto(message.sampling),
            pace=Pace.from_proto(message.pace) if message.HasField("pace") else None,
            prefix=Prefix.from_proto(message.prefix) if message.HasField("prefix") else None,
            revision=Revision.from_proto(message.revision),
        )


class FinishReason(Enum):
    """STOP: the model said that the speech is over. LENGTH: the limit was reached."""

    STOP = llm_pb2.FINISH_REASON_STOP
    LENGTH = llm_pb2.FINISH_REASON_LENGTH


@dataclass(frozen=True)
class Finish:
    """`completion_tokens`: all that were drawn, with those that carry no frame."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    seed: int

    def to_proto(self) -> llm_pb2.Finish:
        return llm_pb2.Finish(
            reason=self.reason.value,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            seed=self.seed,
        )

    @classmethod
    def from_proto(cls, message: llm_pb2.Finish) -> Self:
        return cls(FinishReason(message.reason), message.prompt_tokens, message.completion_tokens, message.seed)


@dataclass(frozen=True)
class Progress:
    """What a generation tells in one message. `resume`: what a prefix of all frames until here needs beside them, None
    where it did not change.
    """

    speaker: Speaker | None = None
    frames: Frames | None = None
    finish: Finish | None = None
    resume: bytes | None = None

    def to_proto(self) -> llm_pb2.GenerateResponse:
        return llm_pb2.GenerateResponse(
            speaker=None if self.speaker is None else self.speaker.whole_to_proto(),
            frames=None if self.frames is None else self.frames.to_proto(),
            finish=None if self.finish is None else self.finish.to_proto(),
            resume=self.resume,
        )

    @classmethod
    def from_proto(cls, message: llm_pb2.GenerateResponse) -> "Progress":
        has = message.HasField
        return cls(
            speaker=Speaker.from_proto(message.speaker) if has("speaker") else None,
            frames=Frames.from_proto(message.frames) if has("frames") else None,
            finish=Finish.from_proto(message.finish) if has("finish") else None,
            resume=message.resume if has("resume") else None,
        )


def selection_to_proto(voice: VoiceInput) -> llm_pb2.SpeakerSelection:
    speaker = None if voice.speaker is None else voice.speaker.to_proto()
    match voice:
        case HeardVoice():
            return llm_pb2.SpeakerSelection(speaker=speaker)
        case MadeUpVoice(design):
            return llm_pb2.SpeakerSelection(design=design.to_proto(), speaker=speaker)
        case ModelVoice(voice_id):
            return llm_pb2.SpeakerSelection(built_in_voice=voice_id, speaker=speaker)


def voice_from_proto(config: llm_pb2.GenerateConfig, speaker: Speaker | None) -> VoiceInput:
    """`speaker`: of the selection, its state looked up. Raises InvalidRequest."""
    context = tuple(Turn.from_proto(turn, f"context[{place}]") for place, turn in enumerate(config.context))
    match config.speaker.WhichOneof("kind"):
        case "design":
            design = DesignedVoice.from_proto(config.speaker.design, "speaker.design")
            return MadeUpVoice(design, speaker, context)
        case "built_in_voice":
            return ModelVoice(config.speaker.built_in_voice, speaker, context)
        case _:
            if speaker is None:
                raise InvalidRequest("A speaker is required: its state, a design or a built-in voice.", field="speaker")
            return HeardVoice(speaker, context)
