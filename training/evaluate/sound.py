"""What can be measured of a voice's sound without knowing what it says."""

import numpy as np
from numpy.typing import NDArray

from training.corpus.pitch import Pitch
from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP, frames_of

Samples = NDArray[np.float32]

_WINDOW = SAMPLE_RATE * 64 // 1000


def median_f0(samples: Samples) -> float:
    """Hz, of the voiced frames; 0 without any."""
    f0 = _f0(samples)
    return float(np.median(f0[f0 > 0])) if f0.any() else 0.0


def centroid(samples: Samples) -> float:
    """Hz: the spectrum's centre in the voiced frames, weighted by loudness; 0 without any."""
    f0 = _f0(samples)
    if not f0.any():
        return 0.0
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    voiced = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[HOP // 2 :: HOP][: len(f0)][f0 > 0]
    amplitudes = np.abs(np.fft.rfft(voiced * np.hanning(_WINDOW))).sum(0)
    return float(amplitudes @ np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE) / amplitudes.sum())


def sounding_seconds(samples: Samples) -> float:
    """From the first to the last loud moment."""
    loud = np.flatnonzero(np.abs(samples) > 0.05 * np.abs(samples).max(initial=1e-6))
    return float(loud[-1] - loud[0]) / SAMPLE_RATE if len(loud) else 0.0


def _f0(samples: Samples) -> NDArray[np.float32]:
    """[F] in Hz, 0 where there is no voice."""
    return Pitch.of(samples, frames_of(len(samples))).f0
