"""The one internal request: every surface builds it, the pipeline reads nothing else."""

import re
from dataclasses import dataclass

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.sampling import Sampling
from services.runtime.errors import InvalidRequest
from services.runtime.quoted import quoted

# Hz, of what a listener gets.
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 192_000


@dataclass(frozen=True)
class NamedVoice:
    """A stored or built-in voice, by the last part of its resource name; empty for the default voice."""

    voice_id: str

    @classmethod
    def parse(cls, name: str, field: str = "voice") -> "NamedVoice":
        """Of an id, or `voices/{id}`. Raises InvalidRequest where it holds none; `field`: what errors call it."""
        voice_id = re.sub(r"^(?:voices/)?", "", name.strip(), flags=re.IGNORECASE)
        if name and not voice_id.strip("."):
            raise InvalidRequest(f"{quoted(name)} names no voice; it reads like anna, or voices/anna.", field=field)
        return cls(voice_id)


@dataclass(frozen=True)
class ReferenceVoice:
    """`audio`: a whole file in any container; `transcript`: its exact words, or empty to clone without."""

    audio: bytes
    transcript: str = ""

    def __post_init__(self) -> None:
        if not self.audio:
            raise InvalidRequest("The reference audio is empty.", field="audio")


VoiceSelection = NamedVoice | DesignedVoice | ReferenceVoice


@dataclass(frozen=True)
class Style:
    """What instructions change of a designed voice; None leaves what the voice has."""

    gender: Gender | None = None
    pitch: Level | None = None
    speed: Level | None = None


@dataclass(frozen=True)
class Turn:
    """One speaker's text."""

    text: str
    voice: VoiceSelection
    style: Style = Style()

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidRequest("The text is empty; it must contain something to speak.", field="text")


@dataclass(frozen=True)
class Output:
    """`encoding` is a name of the encoder registry; `sample_rate` in Hz, None for the model's own rate.

    `speed` is a tempo in [0.25, 4]; pitch stays. `whole`: the reply is sent once it is complete, so that its
    header can state the length.
    """

    encoding: str = "pcm"
    sample_rate: int | None = None
    speed: float = 1.0
    whole: bool = False

    def __post_init__(self) -> None:
        if self.sample_rate is not None and not MIN_SAMPLE_RATE <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise InvalidRequest(
                f"{self.sample_rate} Hz is out of range; a sample rate lies between {MIN_SAMPLE_RATE} and "
                f"{MAX_SAMPLE_RATE} Hz.",
                field="sample_rate",
            )
        if not 0.25 <= self.speed <= 4.0:
            raise InvalidRequest(f"speed is {self.speed:g}; it must lie between 0.25 and 4.", field="speed")


@dataclass(frozen=True)
class SpeechRequest:
    """`model`: id that the caller asked for, empty for whatever is served."""

    turns: tuple[Turn, ...]
    sampling: Sampling = Sampling()
    output: Output = Output()
    model: str = ""


@dataclass(frozen=True)
class TextStreamRequest:
    """A request whose text is still being written; the pieces come beside it."""

    voice: VoiceSelection
    style: Style = Style()
    sampling: Sampling = Sampling()
    output: Output = Output()
    model: str = ""


@dataclass(frozen=True)
class Flush:
    """Among the pieces of a text stream: speak what has been written without waiting for the end of a sentence."""


TextPiece = str | Flush
