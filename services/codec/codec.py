"""What a codec family offers, whatever its layers. Implementations are not thread-safe: one call at a time."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.contract.frames import FrameFormat, Frames
from services.contract.speaker import Speaker

Stream = TypeVar("Stream")
Samples = NDArray[np.float32]


class Codec(Protocol):
    """`engine`: what runs it. Rate in Hz."""

    @property
    def engine(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def frame_format(self) -> FrameFormat: ...


class Heard(Protocol):
    """What a recording says: who speaks, and its frames."""

    @property
    def speaker(self) -> Speaker: ...
    @property
    def frames(self) -> Frames: ...


class Tokenizer(Codec, Protocol):
    """The encoder half."""

    @property
    def batch_limit(self) -> int:
        """How many clips are worth one `tokenize` where it runs; 1 on a CPU."""

    def tokenize(self, clips: Sequence[NDArray[np.float64]]) -> Sequence[Heard]:
        """clips: [n] each, mono at `sample_rate`. A clip gives in a batch what it gives alone."""


class Detokenizer(Codec, Protocol[Stream]):
    """The decoder half."""

    @property
    def hop(self) -> int:
        """Samples per frame."""

    @property
    def left_field(self) -> int:
        """Frames to the left that a sample depends on, and on which rest the guesses of a short look-ahead that it
        depends on: from there on a stream can be made again, if it is cut in the same places.
        """

    @property
    def right_field(self) -> int:
        """Frames to the right that a sample depends on."""

    @property
    def usual_look_ahead(self) -> int | None:
        """Frames of look-ahead with which it sounds as with all of its right field; None where only those will do."""

    @property
    def any_speaker(self) -> Speaker | None:
        """One that it can decode, to try it with; None where it needs none."""

    def open(self, speaker: Speaker | None, look_ahead: int | None) -> Stream:
        """Raises InvalidRequest naming `speaker`. look_ahead in frames; None is full, and exact."""

    def step(self, items: Sequence[tuple[Stream, NDArray[Any], bool]]) -> list[Samples]:
        """(stream, its next frames [n, width], whether they are its last) -> the samples [T] that are determined now,
        each. The frames are of its format.
        """
