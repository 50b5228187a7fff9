"""What a codec family offers, whatever its layers. Implementations are not thread-safe: one call at a time."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Stream = TypeVar("Stream")
Samples = NDArray[np.float32]


class Codec(Protocol):
    """Rates in Hz."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def frame_rate(self) -> float: ...
    @property
    def codebook_size(self) -> int: ...
    @property
    def global_token_count(self) -> int: ...
    @property
    def global_codebook_size(self) -> int: ...


class VoiceTokens(Protocol):
    """A recording as tokens."""

    @property
    def global_tokens(self) -> Sequence[int]: ...
    @property
    def semantic_tokens(self) -> Sequence[int]: ...


class Tokenizer(Codec, Protocol):
    """The encoder half."""

    @property
    def batch_limit(self) -> int:
        """How many clips are worth one `tokenize` where it runs; 1 on a CPU."""

    def tokenize(self, clips: Sequence[NDArray[np.float64]]) -> Sequence[VoiceTokens]:
        """clips: [n] each, mono at `sample_rate`. A clip gives in a batch the tokens that it gives alone."""


class Detokenizer(Codec, Protocol[Stream]):
    """The decoder half."""

    @property
    def hop(self) -> int:
        """Samples per frame."""

    @property
    def receptive_field(self) -> int:
        """Frames on each side that a sample depends on."""

    @property
    def usual_look_ahead(self) -> int:
        """Frames of look-ahead with which it sounds as with all of its receptive field."""

    def open(self, global_tokens: Sequence[int], look_ahead: int | None) -> Stream:
        """Raises InvalidRequest naming `global_tokens`. look_ahead in frames; None is full, and exact."""

    def step(self, items: Sequence[tuple[Stream, Sequence[int], bool]]) -> list[Samples]:
        """(stream, its next codes, whether they are its last) -> the samples [T] that are determined now, each."""
