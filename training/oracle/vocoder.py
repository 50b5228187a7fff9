"""Speech as frames that can be heard again without a network: envelope and pitch, by WORLD."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP

ENVELOPE = 40
"""Coefficients; behind them stands one for aperiodicity."""
STEPS_PER_PERIOD = 8
_FFT, _PERIOD_MS = 1024, 1000 * HOP / SAMPLE_RATE
_FLOOR = 1e-7
"""Of the envelope, beside its highest."""
_SMOOTHED, _STAYS = 2, 0.7
# Frames to either side over which the pitch is smoothed, .1 s in all; steps from which it takes another.

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Frames:
    """envelope [F, ENVELOPE + 1]; f0 [F] in Hz, 0 without voice."""

    envelope: NDArray[np.float32]
    f0: NDArray[np.float32]


class Vocoder(Protocol):
    def analyse(self, samples: Samples, f0: NDArray[np.float32]) -> Frames: ...

    def sound(self, frames: Frames) -> Samples: ...


class World:
    """pyworld, at SAMPLE_RATE and one frame a HOP."""

    def analyse(self, samples: Samples, f0: NDArray[np.float32]) -> Frames:
        """f0 [F] in Hz: what is known of it, which is refined."""
        import pyworld

        x, times = samples.astype(np.float64), np.arange(len(f0)) * HOP / SAMPLE_RATE
        refined = pyworld.stonemask(x, f0.astype(np.float64), times, SAMPLE_RATE)
        power = pyworld.cheaptrick(x, refined, times, SAMPLE_RATE, fft_size=_FFT)
        power = np.maximum(power, _FLOOR * power.max())
        noise = pyworld.d4c(x, refined, times, SAMPLE_RATE, fft_size=_FFT)
        envelope = pyworld.code_spectral_envelope(power, SAMPLE_RATE, ENVELOPE)
        noises = pyworld.code_aperiodicity(noise, SAMPLE_RATE)[:, :1]
        return Frames(np.concatenate([envelope, noises], 1).astype(np.float32), refined.astype(np.float32))

    def sound(self, frames: Frames) -> Samples:
        import pyworld

        coded = np.ascontiguousarray(frames.envelope.astype(np.float64))
        envelope, noises = np.ascontiguousarray(coded[:, :ENVELOPE]), np.ascontiguousarray(coded[:, ENVELOPE:])
        power = pyworld.decode_spectral_envelope(envelope, SAMPLE_RATE, _FFT)
        noise = pyworld.decode_aperiodicity(np.minimum(noises, 0), SAMPLE_RATE, _FFT)
        f0 = frames.f0.astype(np.float64)
        made: Samples = pyworld.synthesize(f0, power, noise, SAMPLE_RATE, _PERIOD_MS).astype(np.float32)
        return made


def in_steps(f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """As planes of STEPS_PER_PERIOD phases hold it: in steps of 6.25 Hz, smoothed, with glides between."""
    known, step = np.flatnonzero(f0), SAMPLE_RATE / HOP / STEPS_PER_PERIOD
    if not len(known):
        return f0
    smooth = _mean(np.interp(np.arange(-_SMOOTHED, len(f0) + _SMOOTHED), known, f0[known] / step))
    steps = np.rint(smooth)
    for index in range(1, len(steps)):
        if abs(smooth[index] - steps[index - 1]) < _STAYS:
            steps[index] = steps[index - 1]
    glided = _mean(np.pad(steps, _SMOOTHED, mode="edge"))
    return np.where(f0 > 0, step * glided, 0).astype(np.float32)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = 2 * _SMOOTHED + 1
    return np.convolve(values, np.ones(width) / width, "valid")
