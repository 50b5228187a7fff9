"""What a generation tells, in this order: the speaker, codes in any chunking, one finish."""

from dataclasses import dataclass
from enum import Enum

from services.llm.voices import Speaker


class FinishReason(Enum):
    """STOP: the model said that the speech is over. LENGTH: max_tokens was reached."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True)
class SpeakerNamed:
    speaker: Speaker


@dataclass(frozen=True)
class CodesDrawn:
    """`codes` [frames x codebooks], row by row; at least one frame."""

    codes: tuple[int, ...]


@dataclass(frozen=True)
class Finished:
    """`completion_tokens`: every token drawn, with those that carry no code."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    seed: int


Event = SpeakerNamed | CodesDrawn | Finished
