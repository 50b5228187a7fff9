"""Volume normalisation of reference audio, as in Spark-TTS sparktts/utils/audio.py `audio_volume_normalize`."""

import numpy as np
from numpy.typing import NDArray

TARGET = 0.2
_QUIET_PEAK = 0.1
_PEAK_FLOOR = 1e-3
_AUDIBLE = 0.01


def normalise_volume(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n] -> [n] scaled so that the loud tenth (less its loudest tenth) averages 0.2, within [-1, 1].

    The levels measured are those from before the first scaling, so both gains of a quiet clip multiply: a quirk of
    upstream's that the tokens depend on.
    """
    levels = np.sort(np.abs(samples))
    peak = levels[-1]
    if peak < _QUIET_PEAK:
        samples = samples / max(peak, _PEAK_FLOOR) * _QUIET_PEAK
    audible = levels[levels > _AUDIBLE]
    count = len(audible)
    if count <= 10:
        return samples
    loudness = np.mean(audible[int(0.9 * count) : int(0.99 * count)])
    samples = samples * np.clip(TARGET / loudness, 0.1, 10)
    peak = np.max(np.abs(samples))
    return samples / peak if peak > 1 else samples
