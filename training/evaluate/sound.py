"""What can be measured of a voice's sound without knowing what it says."""

import numpy as np
from numpy.typing import NDArray

from training.corpus.pitch import Pitch
from training.corpus.utterance import SAMPLE_RATE
from training.frames import frames_of

Samples = NDArray[np.float32]

_FRAME, _HOP = SAMPLE_RATE * 64 // 1000, SAMPLE_RATE // 100


def median_f0(samples: Samples) -> float:
    """Hz, of the voiced frames; 0 without any."""
    f0 = Pitch.of(samples, frames_of(len(samples))).f0
    return float(np.median(f0[f0 > 0])) if f0.any() else 0.0


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
