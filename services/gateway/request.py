"""The one internal request: every surface builds it, the pipeline reads nothing else."""

from dataclasses import dataclass
from enum import Enum

from services.runtime.errors import InvalidRequest, TooLarge

# About an hour of speech.
MAX_TEXT_CHARACTERS = 50_000
# Seeds lie below this: what a signed 64-bit integer holds.
SEEDS = 2**63
# Sample rates of a reply, in Hz.
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 192_000


class Gender(Enum):
    FEMALE = "female"
    MALE = "male"


class Level(Enum):
    VERY_LOW = "very_low"
    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    VERY_HIGH = "very_high"


@dataclass(frozen=True)
class NamedVoice:
    """A stored or built-in voice, by the last part of its resource name; empty for the default voice."""

    voice_id: str


@dataclass(frozen=True)
class DesignedVoice:
    gender: Gender
    pitch: Level = Level.MODERATE
    speed: Level = Level.MODERATE


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
class Sampling:
    """None takes the model's default. The LLM stage checks the ranges and names the field; a seed is checked here,
    because the segments of a reply count on from it.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None and not 0 <= self.seed < SEEDS:
            raise InvalidRequest(f"seed is {self.seed}; it must lie in [0, 2^63).", field="seed")


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
        if len(self.text) > MAX_TEXT_CHARACTERS:
            found = len(self.text)
            raise TooLarge(f"The text has {found} characters; at most {MAX_TEXT_CHARACTERS} are allowed.", field="text")


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
