"""Raw samples: signed 16-bit little-endian mono."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from services.gateway.audio.resampler import Resampler


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """[T] float32 in [-1, 1] -> [T] little-endian int16, rounded, clipped to -32767..32767."""
    rounded: NDArray[np.float32] = np.rint(np.clip(samples, -1.0, 1.0) * np.float32(32767.0))
    return rounded.astype(np.dtype("<i2"))


class PcmEncoder:
    media_type: ClassVar[str] = "audio/pcm"

    def __init__(self, source_rate: int, target_rate: int, *, whole: bool = False) -> None:
        """`whole` changes nothing: there is no header."""
        self._resampler = Resampler(source_rate, target_rate)

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        return to_int16(self._resampler.resample(samples)).tobytes()

    def flush(self) -> bytes:
        return to_int16(self._resampler.flush()).tobytes()

    def head(self, size: int) -> bytes:
        return b""
