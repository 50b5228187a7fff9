"""Speakers that callers give: checked before a prompt is made of them, where a wrong code would name another token."""

from dataclasses import dataclass

from services.contract.families.spark import SparkSpeaker
from services.contract.speaker import Speaker
from services.runtime.errors import InvalidRequest

# The published model's acoustic block holds a handful of attribute values.
MOST_STYLE_TOKENS = 64

_FIELD = "speaker.speaker"


@dataclass(frozen=True)
class SpeakerRules:
    """style_ids: ids that may stand before the global tokens; start_of_globals: the one that must come last."""

    global_token_count: int
    global_codebook_size: int
    style_ids: frozenset[int]
    start_of_globals: int

    def heard(self, speaker: Speaker) -> SparkSpeaker:
        """Of a recording, or any other whose style is of no interest. Raises InvalidRequest."""
        parsed = SparkSpeaker.of(speaker, _FIELD)
        found, size = parsed.global_tokens, self.global_codebook_size
        _require(
            len(found) == self.global_token_count,
            f"A speaker has {self.global_token_count} global tokens, not {len(found)}.",
        )
        _require(max(found) < size, f"Global token {max(found)} is not in [0, {size}).")
        return parsed

    def made_up(self, speaker: Speaker) -> SparkSpeaker:
        """What a generation of a designed voice named, given back. Raises InvalidRequest."""
        parsed = self.heard(speaker)
        style = parsed.style_tokens
        fits = len(style) <= MOST_STYLE_TOKENS and self.style_ids.issuperset(style)
        _require(
            fits and style[-1:] == (self.start_of_globals,),
            "Not the style tokens that this model named with a designed voice.",
        )
        return parsed


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidRequest(otherwise, field=f"{_FIELD}.state")
