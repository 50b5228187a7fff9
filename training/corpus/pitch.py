"""The pitch of speech and its phase, frame by frame, as a vocoder needs them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP

_WINDOW, _FFT, _PHASE_WINDOW = 1024, 2048, 640
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 400.0
_SURELY, _VOICED, _AS_HIGH, _LOUD = 0.6, 0.45, 0.85, 0.02
# Of the correlation at a period relative to that at none; and of the level relative to the utterance's highest.
_SPAN = 1.5
"""How far from the median the pitch of one utterance goes, as a factor."""


@dataclass(frozen=True)
class Pitch:
    """f0 [F] in Hz, 0 where there is no voice; phase [F] of the fundamental in the middle of each frame, in turns."""

    f0: NDArray[np.float32]
    phase: NDArray[np.float32]

    @classmethod
    def of(cls, samples: NDArray[np.float32], frames: int) -> "Pitch":
        """samples [n], full scale 1; by autocorrelation, in two rounds: an octave is wrong where it is far from the
        utterance's median.
        """
        x = np.pad(samples, (_WINDOW // 2, _WINDOW + HOP * frames))
        pieces = np.lib.stride_tricks.sliding_window_view(x, _WINDOW)[HOP // 2 :: HOP][:frames]
        correlation = _correlation(pieces)
        level = np.sqrt(correlation[:, 0])
        loud = level > _LOUD * level.max(initial=1e-6)
        f0 = loud * _f0(correlation, _LOWEST_HZ, _HIGHEST_HZ, _SURELY)
        if f0.any():
            median = float(np.median(f0[f0 > 0]))
            lowest, highest = max(median / _SPAN, _LOWEST_HZ), min(median * _SPAN, _HIGHEST_HZ)
            f0 = loud * _f0(correlation, lowest, highest, _VOICED, shortest=False)
        return cls(f0.astype(np.float32), _phases(pieces, f0).astype(np.float32))

    def at(self, samples: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """f0 and phase at these moments, of the frames that hold them."""
        frames = np.clip(samples // HOP, 0, len(self.f0) - 1)
        f0 = self.f0[frames]
        passed = (samples - HOP * frames - HOP // 2) / SAMPLE_RATE
        return f0, np.mod(self.phase[frames] + f0 * passed, 1.0).astype(np.float32)


def _correlation(pieces: NDArray[np.float32]) -> NDArray[np.float64]:
    """[F, window] -> [F, window], as if no product were missing at longer lags."""
    centred = pieces - pieces.mean(1, keepdims=True)
    spectrum = np.fft.rfft(centred, _FFT)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, :_WINDOW]
    unbiased: NDArray[np.float64] = correlation / (_WINDOW - np.arange(_WINDOW))
    return unbiased


def _f0(
    correlation: NDArray[np.float64], lowest: float, highest: float, periodic: float, *, shortest: bool = True
) -> NDArray[np.float64]:
    """[F] within the bounds, 0 where it is less `periodic`. shortest: of several good periods."""
    first, last = int(SAMPLE_RATE / highest), int(SAMPLE_RATE / lowest) + 1
    rows = np.arange(len(correlation))
    period = first + correlation[:, first:last].argmax(1)
    if shortest:
        for parts in (4, 3, 2):
            near = np.clip(np.rint(period / parts).astype(int)[:, None] + np.arange(-1, 2), first, last)
            values = correlation[rows[:, None], near]
            better = (values.max(1) > _AS_HIGH * correlation[rows, period]) & (period // parts >= first)
            period = np.where(better, near[rows, values.argmax(1)], period)
    before, here, after = (correlation[rows, period + step] for step in (-1, 0, 1))
    bend = np.minimum(before - 2 * here + after, -1e-12)
    shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    f0: NDArray[np.float64] = SAMPLE_RATE / (period + shift) * (here > periodic * np.maximum(correlation[:, 0], 1e-12))
    return f0


def _phases(pieces: NDArray[np.float32], f0: NDArray[np.float64]) -> NDArray[np.float64]:
    """In turns, 0 to 1: of a cosine at f0 in the middle of each piece."""
    times = (np.arange(_PHASE_WINDOW) - _PHASE_WINDOW / 2) / SAMPLE_RATE
    middle = slice((_WINDOW - _PHASE_WINDOW) // 2, (_WINDOW + _PHASE_WINDOW) // 2)
    turned = np.exp(-2j * np.pi * f0[:, None] * times)
    sums = (pieces[:, middle] * np.hanning(_PHASE_WINDOW) * turned).sum(1)
    phases: NDArray[np.float64] = np.mod(np.angle(sums) / (2 * np.pi), 1.0)
    return phases
