"""What a stage says of its model. It knows no family: whatever differs between models comes from here."""

import hashlib
from dataclasses import dataclass
from enum import Enum

from services.contract.design import DesignedVoice
from services.contract.frames import FrameFormat
from services.runtime.errors import WrongRevision
from voxline.stages.v1 import model_pb2, revision_pb2


@dataclass(frozen=True)
class Revision:
    """Digests of what a model is made of; a part that is not known is empty and fits any. That of a codec that hears
    recordings begins with the version of their cleaning and a hyphen.
    """

    codec: str = ""
    llm: str = ""

    def fits(self, other: "Revision") -> bool:
        """Whether no part that both know differs."""
        return all(one == two for one, two in zip(self._parts, other._parts, strict=True) if one and two)

    def expect(self, expected: "Revision") -> None:
        """Raises WrongRevision where `expected` does not fit."""
        if not self.fits(expected):
            raise WrongRevision(f"This replica serves {self}; {expected} was expected.")

    def __or__(self, other: "Revision") -> "Revision":
        """What either knows."""
        return Revision(self.codec or other.codec, self.llm or other.llm)

    def __str__(self) -> str:
        return f"codec {self.codec[:12] or 'any'}, llm {self.llm[:12] or 'any'}"

    @property
    def digest(self) -> str:
        """Of all parts together."""
        return hashlib.sha256("\n".join(self._parts).encode()).hexdigest()

    @property
    def codec_files(self) -> str:
        """`codec` without the version of the cleaning."""
        return codec_files(self.codec)

    @property
    def _parts(self) -> tuple[str, str]:
        return self.codec, self.llm

    def to_proto(self) -> revision_pb2.Revision:
        return revision_pb2.Revision(codec=self.codec, llm=self.llm)

    @classmethod
    def from_proto(cls, message: revision_pb2.Revision) -> "Revision":
        return cls(message.codec, message.llm)


def codec_files(codec: str) -> str:
    """What a codec is made of, however it has recordings cleaned: a part of its revision."""
    return codec.rpartition("-")[2]


class Capability(Enum):
    CLONE = model_pb2.CAPABILITY_CLONE
    CLONE_WITH_TRANSCRIPT = model_pb2.CAPABILITY_CLONE_WITH_TRANSCRIPT
    DESIGN = model_pb2.CAPABILITY_DESIGN


@dataclass(frozen=True)
class BuiltInVoice:
    """`design` is None for a voice that is known by its id alone."""

    id: str
    display_name: str
    design: DesignedVoice | None = None

    def to_proto(self) -> model_pb2.BuiltInVoice:
        design = None if self.design is None else self.design.to_proto()
        return model_pb2.BuiltInVoice(id=self.id, display_name=self.display_name, design=design)

    @classmethod
    def from_proto(cls, message: model_pb2.BuiltInVoice) -> "BuiltInVoice":
        design = DesignedVoice.from_proto(message.design) if message.HasField("design") else None
        return cls(message.id, message.display_name or message.id, design)


@dataclass(frozen=True)
class TokenizerDescription:
    """Rate in Hz, the longest recording in seconds."""

    engine: str
    sample_rate: int
    max_reference_seconds: float

    def to_proto(self) -> model_pb2.TokenizerDescription:
        return model_pb2.TokenizerDescription(
            engine=self.engine,
            sample_rate_hertz=self.sample_rate,
            max_reference_seconds=self.max_reference_seconds,
        )

    @classmethod
    def from_proto(cls, message: model_pb2.TokenizerDescription) -> "TokenizerDescription":
        return cls(message.engine, message.sample_rate_hertz, message.max_reference_seconds)


@dataclass(frozen=True)
class LlmDescription:
    """`max_frames`: most frames of one generation with those of its context; `max_context_frames`: most frames of
    earlier turns, None for a model that reads none besides a reference; `max_reference_frames`: of a reference that it
    continues by its transcript, None where any will do.
    """

    engine: str
    capabilities: frozenset[Capability]
    built_in_voices: tuple[BuiltInVoice, ...]
    default_voice: str
    max_segment_characters: int
    max_frames: int
    max_context_frames: int | None = None
    languages: tuple[str, ...] = ()
    max_reference_frames: int | None = None

    def to_proto(self) -> model_pb2.LlmDescription:
        frames = self.max_context_frames
        return model_pb2.LlmDescription(
            engine=self.engine,
            capabilities=sorted(capability.value for capability in self.capabilities),
            built_in_voices=[voice.to_proto() for voice in self.built_in_voices],
            default_voice=self.default_voice,
            max_segment_characters=self.max_segment_characters,
            max_frames=self.max_frames,
            context=None if frames is None else model_pb2.ContextDescription(max_frames=frames),
            languages=self.languages,
            max_reference_frames=self.max_reference_frames,
        )

    @classmethod
    def from_proto(cls, message: model_pb2.LlmDescription) -> "LlmDescription":
        known = {capability.value: capability for capability in Capability}
        return cls(
            engine=message.engine,
            capabilities=frozenset(known[value] for value in message.capabilities if value in known),
            built_in_voices=tuple(BuiltInVoice.from_proto(voice) for voice in message.built_in_voices),
            default_voice=message.default_voice,
            max_segment_characters=message.max_segment_characters,
            max_frames=message.max_frames,
            max_context_frames=message.context.max_frames if message.HasField("context") else None,
            languages=tuple(message.languages),
            max_reference_frames=message.max_reference_frames if message.HasField("max_reference_frames") else None,
        )


@dataclass(frozen=True)
class DetokenizerDescription:
    """Rate in Hz. `left_field` and `right_field`: frames on which a sample depends; `first_audio_frames`: beside the
    look-ahead, before there is any audio; `usual_look_ahead`: frames with which it sounds as with all of its right
    field, None where only that one will do.
    """

    engine: str
    sample_rate: int
    left_field: int
    right_field: int
    first_audio_frames: int
    usual_look_ahead: int | None = None

    def look_ahead(self, wanted: int | None) -> int:
        """In frames. None is what it says is enough, below zero as far as it can."""
        frames = self.usual_look_ahead if wanted is None else wanted
        return self.right_field if frames is None or frames < 0 else min(frames, self.right_field)

    def to_proto(self) -> model_pb2.DetokenizerDescription:
        return model_pb2.DetokenizerDescription(
            engine=self.engine,
            sample_rate_hertz=self.sample_rate,
            left_field_frames=self.left_field,
            right_field_frames=self.right_field,
            first_audio_frames=self.first_audio_frames,
            usual_look_ahead_frames=self.usual_look_ahead,
        )

    @classmethod
    def from_proto(cls, message: model_pb2.DetokenizerDescription) -> "DetokenizerDescription":
        usual = message.usual_look_ahead_frames if message.HasField("usual_look_ahead_frames") else None
        return cls(
            message.engine,
            message.sample_rate_hertz,
            message.left_field_frames,
            message.right_field_frames,
            message.first_audio_frames,
            usual,
        )


@dataclass(frozen=True)
class ServedModel:
    """A model, and the stages of it that a process serves: None for those that it does not."""

    id: str
    family: str
    revision: Revision
    frames: FrameFormat
    tokenizer: TokenizerDescription | None = None
    llm: LlmDescription | None = None
    detokenizer: DetokenizerDescription | None = None

    def to_proto(self) -> model_pb2.Model:
        return model_pb2.Model(
            id=self.id,
            family=self.family,
            revision=self.revision.to_proto(),
            frames=self.frames.to_proto(),
            tokenizer=None if self.tokenizer is None else self.tokenizer.to_proto(),
            llm=None if self.llm is None else self.llm.to_proto(),
            detokenizer=None if self.detokenizer is None else self.detokenizer.to_proto(),
        )

    @classmethod
    def from_proto(cls, message: model_pb2.Model) -> "ServedModel":
        has = message.HasField
        return cls(
            id=message.id,
            family=message.family,
            revision=Revision.from_proto(message.revision),
            frames=FrameFormat.from_proto(message.frames),
            tokenizer=TokenizerDescription.from_proto(message.tokenizer) if has("tokenizer") else None,
            llm=LlmDescription.from_proto(message.llm) if has("llm") else None,
            detokenizer=DetokenizerDescription.from_proto(message.detokenizer) if has("detokenizer") else None,
        )
