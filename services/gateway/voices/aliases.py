"""OpenAI's voice names as designed voices. Only the gender is that of OpenAI's voice; the levels tell them apart."""

from collections.abc import Mapping

from services.contract.design import DesignedVoice, Gender, Level
from services.gateway.voices.voice import VoiceResource

_F, _M = Gender.FEMALE, Gender.MALE
_LOW, _MID, _HIGH = Level.LOW, Level.MODERATE, Level.HIGH

ALIASES: Mapping[str, DesignedVoice] = {
    "alloy": DesignedVoice(_F, _MID, _MID),
    "ash": DesignedVoice(_M, _MID, _MID),
    "ballad": DesignedVoice(_M, _MID, _LOW),
    "cedar": DesignedVoice(_M, _LOW, _MID),
    "coral": DesignedVoice(_F, _HIGH, _MID),
    "echo": DesignedVoice(_M, _HIGH, _MID),
    "fable": DesignedVoice(_M, _HIGH, _HIGH),
    "marin": DesignedVoice(_F, _MID, _HIGH),
    "nova": DesignedVoice(_F, _HIGH, _HIGH),
    "onyx": DesignedVoice(_M, Level.VERY_LOW, _LOW),
    "sage": DesignedVoice(_F, _LOW, _MID),
    "shimmer": DesignedVoice(_F, _LOW, _LOW),
    "verse": DesignedVoice(_M, _MID, _HIGH),
}

ALIAS_VOICES = tuple(
    VoiceResource(name, name.capitalize(), design=design, built_in=True, alias_of=design.id)
    for name, design in ALIASES.items()
)
