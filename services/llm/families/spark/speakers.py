"""Tokens that a caller gives: checked before a prompt is made of them, where a wrong code would name another token."""

from dataclasses import dataclass

from services.llm.voices import Speaker
from services.runtime.errors import InvalidRequest

# The published model's acoustic block holds a handful of attribute values.
MOST_STYLE_TOKENS = 64


@dataclass(frozen=True)
class SpeakerRules:
    """style_ids: ids that may stand before the global tokens; start_of_globals: the one that must come last."""

    global_token_count: int
    global_codebook_size: int
    codebook_size: int
    style_ids: frozenset[int]
    start_of_globals: int

    def check_globals(self, global_tokens: tuple[int, ...], field: str) -> None:
        if len(global_tokens) != self.global_token_count:
            raise InvalidRequest(
                f"A speaker has {self.global_token_count} global tokens, not {len(global_tokens)}.", field=field
            )
        _check_range(global_tokens, self.global_codebook_size, field)

    def check_codes(self, codes: tuple[int, ...], field: str) -> None:
        if not codes:
            raise InvalidRequest("A reference has at least one code.", field=field)
        _check_range(codes, self.codebook_size, field)

    def check_designed(self, speaker: Speaker, field: str) -> None:
        """What a generation of a designed voice named, given back."""
        self.check_globals(speaker.global_tokens, f"{field}.global_tokens")
        style = speaker.style_tokens
        fits = len(style) <= MOST_STYLE_TOKENS and self.style_ids.issuperset(style)
        if not fits or style[-1:] != (self.start_of_globals,):
            raise InvalidRequest(
                "Not the style tokens that this model named with a designed voice.", field=f"{field}.style_tokens"
            )


def _check_range(codes: tuple[int, ...], size: int, field: str) -> None:
    wrong = next((code for code in codes if not 0 <= code < size), None)
    if wrong is not None:
        raise InvalidRequest(f"{wrong} is not in [0, {size}).", field=field)
