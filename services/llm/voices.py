"""Who speaks a segment, as the LLM sees it: tokens, or a design. Whether they fit a checkpoint, the family says."""

from dataclasses import dataclass
from enum import Enum


class Gender(Enum):
    FEMALE = "female"
    MALE = "male"


class Level(Enum):
    VERY_LOW = "very-low"
    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    VERY_HIGH = "very-high"


@dataclass(frozen=True)
class Design:
    gender: Gender
    pitch: Level = Level.MODERATE
    speed: Level = Level.MODERATE

    @property
    def name(self) -> str:
        """gender-pitch-speed; the gender alone where both are moderate."""
        if self.pitch is self.speed is Level.MODERATE:
            return self.gender.value
        return f"{self.gender.value}-{self.pitch.value}-{self.speed.value}"

    @property
    def display_name(self) -> str:
        words = f"{self.gender.value}, {self.pitch.value} pitch, {self.speed.value} speed"
        return words.replace("-", " ").capitalize()


@dataclass(frozen=True)
class Speaker:
    """`style_tokens`: ids that the model wrote before the global tokens of a designed voice; else empty."""

    global_tokens: tuple[int, ...]
    style_tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class ClonedVoice:
    """The voice of a reference, its words unknown."""

    speaker: Speaker


@dataclass(frozen=True)
class ContinuedVoice:
    """The voice of a reference whose codes and words are known: the segment continues them."""

    speaker: Speaker
    codes: tuple[int, ...]
    transcript: str


@dataclass(frozen=True)
class DesignedVoice:
    """A voice to make up; `speaker` pins it to what an earlier generation of this design named."""

    design: Design
    speaker: Speaker | None = None


Voice = ClonedVoice | ContinuedVoice | DesignedVoice
