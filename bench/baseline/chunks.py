"""Streaming as FlashTTS does it (flashtts/engine/spark_engine.py): each chunk of codes is decoded alone, overlaps the
one before by a few frames, and is cross-faded with it there. The chunks double up to a limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Chunking:
    """In frames; the published values at 50 frames a second."""

    first: int = 50
    most: int = 400
    overlap: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.overlap < self.first <= self.most:
            raise ValueError("a chunk is longer than its overlap")


class ChunkedDecoder:
    """One reply. `decode`: codes -> samples [len(codes) * hop], without any context."""

    def __init__(self, decode: Callable[[Sequence[int]], Samples], hop: int, chunking: Chunking | None = None) -> None:
        self._decode = decode
        self._chunking = chunking or Chunking()
        self._faded = self._chunking.overlap * hop
        self._size = self._chunking.first
        self._codes: list[int] = []
        self._tail: Samples = np.zeros(0, np.float32)

    def add(self, codes: Sequence[int]) -> None:
        self._codes += codes

    @property
    def due(self) -> bool:
        return len(self._codes) >= self._size

    def chunk(self) -> Samples:
        """The next chunk, of which the last frames are held back. Only when it is due."""
        samples = self._chunk(self._codes[: self._size])
        self._codes = self._codes[self._size - self._chunking.overlap :]
        self._size = min(self._chunking.most, self._size * 2)
        return samples

    def end(self) -> Samples:
        """All that is left. Theirs decodes the overlap again where it is all that is left, and is heard twice."""
        left = self._codes
        samples = (
            self._chunk(left) if len(left) > (self._chunking.overlap if len(self._tail) else 0) else self._tail[:0]
        )
        return np.concatenate([samples, self._tail])

    def _chunk(self, codes: Sequence[int]) -> Samples:
        samples = cross_faded(self._tail, self._decode(codes))
        kept = max(0, len(samples) - self._faded)
        self._tail = samples[kept:]
        return samples[:kept]


def cross_faded(tail: Samples, samples: Samples) -> Samples:
    """`samples`, whose beginning was heard before as `tail`: from one to the other in a straight line."""
    faded = min(len(tail), len(samples))
    rising = np.linspace(0, 1, faded, dtype=np.float32)
    joint = tail[:faded] * (1 - rising) + samples[:faded] * rising
    return np.concatenate([joint, samples[faded:]])
