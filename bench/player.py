"""A listener's player: it starts with the first sample, plays in real time, and waits whenever it runs dry."""

import numpy as np

# Samples below this share of full scale are silence to a listener.
AUDIBLE = 1e-3
_SAMPLE_BYTES = 2
_LEAST = round(AUDIBLE * 2**15)


class Player:
    """Takes signed 16-bit little-endian mono. Times are seconds on any one clock.

    `audio`: seconds received; `underrun`: seconds for which it had nothing to play, between its first sample and its
    last; `first_sound_at`: when the first audible sample came, None before.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._started_at: float | None = None
        self._half = b""
        self.audio = 0.0
        self.underrun = 0.0
        self.first_sound_at: float | None = None

    def received(self, data: bytes, now: float) -> None:
        """`data` may end in the middle of a sample."""
        data = self._half + data
        whole = len(data) // _SAMPLE_BYTES * _SAMPLE_BYTES
        self._half = data[whole:]
        if whole:
            self._play(np.frombuffer(data, "<i2", whole // _SAMPLE_BYTES), now)

    def _play(self, samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", now: float) -> None:
        if self._started_at is None:
            self._started_at = now
        # How far the latest sample is behind its due: every wait so far is part of it, hence the largest is their sum.
        self.underrun = max(self.underrun, now - self._started_at - self.audio)
        self.audio += len(samples) / self._sample_rate
        if self.first_sound_at is None and np.abs(samples.astype(np.int32)).max() >= _LEAST:
            self.first_sound_at = now
