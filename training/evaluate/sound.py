"""What can be measured of a voice's sound without knowing what it says."""

import numpy as np
from numpy.typing import NDArray

from training.corpus.utterance import SAMPLE_RATE

Samples = NDArray[np.float32]

_FRAME, _HOP = SAMPLE_RATE * 64 // 1000, SAMPLE_RATE // 100
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 400.0
_VOICED, _AS_HIGH = 0.5, 0.85
"""Of the autocorrelation at a period, relative to that at none."""


def median_f0(samples: Samples) -> float:
    """Hz, of the voiced frames; 0 without any. By autocorrelation."""
    f0 = [_f0(frame) for frame in _loud_frames(samples)]
    voiced = [value for value in f0 if value > 0]
    return float(np.median(voiced)) if voiced else 0.0


def centroid(samples: Samples) -> float:
    """Hz: the mean of the spectrum's centre, weighted by loudness."""
    spectra = [np.abs(np.fft.rfft(frame * np.hanning(len(frame)))) for frame in _loud_frames(samples)]
    total = np.sum(spectra, axis=0) if spectra else np.ones(_FRAME // 2 + 1)
    return float(np.sum(total * np.fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE)) / np.sum(total))


def sounding_seconds(samples: Samples) -> float:
    """From the first to the last loud moment."""
    loud = np.flatnonzero(np.abs(samples) > 0.05 * np.abs(samples).max(initial=1e-6))
    return float(loud[-1] - loud[0]) / SAMPLE_RATE if len(loud) else 0.0


def _loud_frames(samples: Samples) -> list[Samples]:
    starts = range(0, len(samples) - _FRAME, _HOP)
    frames = [samples[start : start + _FRAME] - samples[start : start + _FRAME].mean() for start in starts]
    levels = [float(np.sqrt(np.mean(frame**2))) for frame in frames]
    return [frame for frame, level in zip(frames, levels, strict=True) if level > 0.1 * max(levels)]


def _f0(frame: Samples) -> float:
    spectrum = np.fft.rfft(frame, 2 * len(frame))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(frame)]
    # Fewer products at longer lags: without this the highest pitch always wins.
    correlation = correlation / (len(frame) - np.arange(len(frame)))
    shortest, longest = int(SAMPLE_RATE / _HIGHEST_HZ), int(SAMPLE_RATE / _LOWEST_HZ)
    period = shortest + int(np.argmax(correlation[shortest:longest]))
    if correlation[period] <= _VOICED * correlation[0]:
        return 0.0
    # Several periods are as good as one: take the shortest with a peak that is about as high.
    for parts in (4, 3, 2):
        near = np.arange(max(period // parts - 1, shortest), period // parts + 3)
        if len(near) > 1 and correlation[near].max() > _AS_HIGH * correlation[period]:
            return SAMPLE_RATE / float(near[np.argmax(correlation[near])])
    return SAMPLE_RATE / period
