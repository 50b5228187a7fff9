"""Voices as the stages understand them. Tokens are ids in the model's own ranges; the gateway only carries them."""

from dataclasses import dataclass, replace

from services.gateway.request import DesignedVoice

# [F, K] codes of consecutive frames, row by row.
Codes = tuple[int, ...]


@dataclass(frozen=True)
class SpeakerTokens:
    """`style_tokens`: what the LLM wrote before the global tokens of a designed voice; empty for a heard one."""

    global_tokens: tuple[int, ...]
    style_tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pace:
    """How codes are played: `first_codes` make the first sound, then `codes_per_second` are needed."""

    first_codes: int
    codes_per_second: float


@dataclass(frozen=True)
class ReferenceTokens:
    """What the tokenizer makes of a recording of `seconds` seconds."""

    speaker: SpeakerTokens
    codes: Codes
    seconds: float


@dataclass(frozen=True)
class ClonedTokens:
    """The speaker of a recording whose words are not used."""

    speaker: SpeakerTokens


@dataclass(frozen=True)
class ContinuedTokens:
    """A recording that the text continues; `transcript` holds its exact words."""

    speaker: SpeakerTokens
    codes: Codes
    transcript: str


@dataclass(frozen=True)
class DesignedTokens:
    """A voice made up from `design`; without a speaker the LLM makes up one."""

    design: DesignedVoice
    speaker: SpeakerTokens | None = None

    def pinned(self, speaker: SpeakerTokens) -> "DesignedTokens":
        return replace(self, speaker=speaker)


VoiceTokens = ClonedTokens | ContinuedTokens | DesignedTokens
