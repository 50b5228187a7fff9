"""Changes the sample rate of a stream of samples."""

import numpy as np
import soxr
from numpy.typing import NDArray


class Resampler:
    """Any chunking gives bit for bit the samples of the whole, ceil or floor of T * target / source of them.

    soxr's HQ kernel; it withholds at most 40 ms going up (120 ms going down to 8 kHz) until more samples or the flush.
    Equal rates pass the chunks through untouched.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        """Rates in Hz."""
        self._stream: soxr.ResampleStream | None = None
        if source_rate != target_rate:
            self._stream = soxr.ResampleStream(source_rate, target_rate, num_channels=1, dtype="float32", quality="HQ")
        self._flushed = False

    def resample(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """[T] at the source rate -> whatever is final at the target rate. ValueError after `flush`."""
        if self._flushed:
            raise ValueError("resampler is flushed")
        if self._stream is None:
            return samples
        resampled: NDArray[np.float32] = self._stream.resample_chunk(samples)
        return resampled

    def flush(self) -> NDArray[np.float32]:
        """The rest; empty when called again."""
        rest: NDArray[np.float32] = np.zeros(0, np.float32)
        if self._stream is not None and not self._flushed:
            rest = self._stream.resample_chunk(rest, last=True)
        self._flushed = True
        return rest
