"""The audio value that every stage passes on: mono float32 samples and their rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Audio:
    """samples: [T] float32 in [-1, 1]; sample_rate in Hz. The array is shared, never written to."""

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 1:
            raise ValueError(f"audio must be float32 [T], not {self.samples.dtype} {list(self.samples.shape)}")
        if self.sample_rate <= 0:
            raise ValueError(f"sample rate must be positive, not {self.sample_rate}")

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    def to_bytes(self) -> bytes:
        """Little-endian float32, as the protos carry it."""
        return self.samples.astype("<f4", copy=False).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, sample_rate: int) -> "Audio":
        """Raises ValueError when `data` is no whole number of float32 samples."""
        return cls(np.frombuffer(data, "<f4").astype(np.float32, copy=False), sample_rate)
