"""Where in a recording somebody speaks, by levels alone. Knows nothing of files."""

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_SECOND = 50
_SYLLABLE_FRAMES = 10
# -60 dBFS: below it the volume normalisation stops lifting a clip, so the model would hear nothing.
SILENCE = 1e-3
# Hz: nothing of a voice is below; rumble, and the hum of the mains, are below the second.
VOICE, RUMBLE = 80.0, 62.0
# Below the loud frames by so much is silence, whatever the noise: 25 dB in power.
SILENT = 10**-2.5
# Of a part, the seconds that a speaker encoder hears at most: the published model's.
_HEARD_SECONDS = 6.0
# Power that changes, as a share of all of it, of the steadiest recording that may hold a voice.
_CHANGING = 0.01
_SPECTRA_PER_SECOND = 8
# Spectra that a jump changes.
_JUMP = 2


def powers(samples: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """[n] -> mean power of each whole frame."""
    hop = sample_rate // FRAMES_PER_SECOND
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    mean: NDArray[np.float64] = np.square(frames).mean(axis=1)
    return mean


def loud(powers: NDArray[np.float64]) -> float:
    """The power that a fifth of a second reaches: a syllable does, a click does not."""
    most = min(_SYLLABLE_FRAMES, len(powers))
    return float(np.partition(powers, -most)[-most])


def high_passed(samples: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """[n] -> [n] without rumble and without a delay; mirrored beyond its ends, so that they do not ring."""
    size = 1 << (len(samples) + 2 * sample_rate).bit_length()
    spectrum = np.fft.rfft(np.pad(samples, (sample_rate, size - sample_rate - len(samples)), "reflect"))
    bins = np.fft.rfftfreq(size, 1 / sample_rate)
    spectrum *= 0.5 - 0.5 * np.cos(np.pi * np.clip((bins - RUMBLE) / (VOICE - RUMBLE), 0, 1))
    return np.fft.irfft(spectrum, size)[sample_rate : sample_rate + len(samples)]


def most_speech(samples: NDArray[np.float64], sample_rate: int, seconds: float) -> tuple[int, int]:
    """First sample of the part of `seconds` with the most speech, and the one behind it. `samples` are longer."""
    power = powers(samples, sample_rate)
    audible = np.concatenate([[0], np.cumsum(power > SILENT * loud(power))])
    length = int(seconds * FRAMES_PER_SECOND)
    heard = min(length, int(_HEARD_SECONDS * FRAMES_PER_SECOND))
    starts = np.arange(max(1, len(power) - length + 1))
    speech = audible[np.minimum(starts + length, len(power))] + audible[starts + heard] - 2 * audible[starts]
    first = int(np.argmax(speech)) * (sample_rate // FRAMES_PER_SECOND)
    return first, first + int(seconds * sample_rate)


def changes(samples: NDArray[np.float64], sample_rate: int) -> bool:
    """Whether there is more in the band of voices than tones that stay: what stands out from what each bin of the
    spectrum always has. The ends do not count, nor does a jump, as files start with and codecs make of an offset.
    """
    size = sample_rate // _SPECTRA_PER_SECOND
    frames = samples[: len(samples) // size * size].reshape(-1, size)[1:-1]
    if not len(frames):
        return True
    spectra = np.abs(np.fft.rfft(frames * np.hanning(size)))
    voice = spectra[:, int(VOICE / _SPECTRA_PER_SECOND) :]
    beside = np.square(np.clip(voice - np.percentile(voice, 25, axis=0), 0, None)).sum(axis=1)
    every, high = (np.square(each).sum(axis=1).mean() for each in (spectra, voice))
    least = max((SILENCE * size) ** 2 / 100, _CHANGING * high, _CHANGING**2 * every)
    return bool(np.count_nonzero(beside > least) > min(_JUMP, len(frames) // 4))
