"""Which channel of a recording is heard: the first that carries the voice, and several together only where none has all
of it. Knows nothing of files.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.codec.audio.speech import loud, powers

# Power above the channel's own floor that counts as voice: 6 dB. A hiss or a hum stays below.
_ABOVE_FLOOR = 4.0
# A channel carries the voice as well as the best one does, or a part of it, down to -10 dB.
_AS_GOOD = 0.1
# So much of what is said has to be in one channel for it to be heard alone.
_WHOLE = 0.8


def voice_channel(channels: NDArray[np.generic], sample_rate: int) -> NDArray[np.float64]:
    """[C, n] of any sample type -> [n] float64 in [-1, 1]: one channel as it is, unless the voice moves from one to
    another. Out-of-phase channels are never added to each other.
    """
    if len(channels) == 1:
        return to_float(channels[0])
    voices = np.stack([_voice(to_float(channel), sample_rate) for channel in channels])
    scores = voices.mean(axis=1)
    if not scores.any():  # There is no voice: the first that holds anything.
        return to_float(channels[int(np.argmax([np.ptp(channel) > 0 for channel in channels]))])
    carrying = np.flatnonzero(scores >= _AS_GOOD * scores.max())
    heard = voices > _AS_GOOD * loud(voices[carrying].max(axis=0))
    said = heard[carrying].any(axis=0).sum()
    for channel in carrying:
        if heard[channel].sum() >= _WHOLE * said:
            return to_float(channels[channel])
    return _mixed(channels, carrying)


def to_float(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Integers scaled by their full scale, as soundfile does."""
    values: NDArray[np.float64] = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        return (values - 128) / 128
    if np.issubdtype(samples.dtype, np.integer):
        return values / -float(np.iinfo(samples.dtype).min)
    return values


def _voice(samples: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """[n] -> power above the floor of each frame, without what is louder than a syllable, as clicks are."""
    # The difference leaves out offsets and most of what rumbles.
    power = powers(np.diff(samples, prepend=samples[:1]), sample_rate)
    if not len(power):
        return np.zeros(1)
    floor, ceiling = np.percentile(power, 10), loud(power)
    voice: NDArray[np.float64] = np.clip(np.minimum(power, ceiling) - _ABOVE_FLOOR * floor, 0, None)
    return voice


def _mixed(channels: NDArray[np.generic], carrying: NDArray[np.intp]) -> NDArray[np.float64]:
    mixed = to_float(channels[carrying[0]])
    for channel in carrying[1:]:
        samples = to_float(channels[channel])
        mixed = mixed - samples if mixed @ samples < 0 else mixed + samples
    return mixed
