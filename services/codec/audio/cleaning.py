"""What is taken off a recording before it is heard: an offset, rumble, and the silence around the speech.

A recording with none of these comes back as it is, sample for sample; one that was cleaned is clean. Whoever changes
what comes out changes `services.contract.tokenization.CLEANING` too.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.codec.audio.decode import Recording
from services.codec.audio.flac import storable
from services.codec.audio.speech import FRAMES_PER_SECOND, SILENT, high_passed, loud, powers

# As a share of the power of the voice: speech as it is recorded stays below a hundredth, a hiss at 8 kHz at a fiftieth.
_MUCH_RUMBLE = 0.03
# Seconds. Shorter silence belongs to the speech; of longer one so much stays.
_LONG_SILENCE, _KEPT_SILENCE = 0.5, 0.1
# A noise before the speech is steady: its levels lie within 8 dB, and 6 dB below the loud frames.
_STEADY, _BELOW_SPEECH = 10**0.8, 10**-0.6
# A click is shorter.
_WORD_FRAMES, _WORD_SHARE = 10, 0.6
_ROUNDS = 4


class Cleaned(NamedTuple):
    """`start`: seconds of the original before the first sample that is left."""

    recording: Recording
    start: float


def cleaned(recording: Recording) -> Cleaned:
    """Until nothing is left to clean, so that what is kept of a recording is cleaned to itself."""
    start = 0.0
    for _ in range(_ROUNDS):
        voice = high_passed(recording.samples, recording.sample_rate)
        rumbles = np.square(recording.samples - voice).mean() > _MUCH_RUMBLE * np.square(voice).mean()
        clean = storable(Recording(voice, recording.sample_rate)) if rumbles else recording
        first, last = _speech(recording.samples, voice, recording.sample_rate)
        if not rumbles and (first, last) == (0, len(voice)):
            break
        recording = clean.part(first, last)
        start += first / recording.sample_rate
    return Cleaned(recording, start)


def _speech(samples: NDArray[np.float64], voice: NDArray[np.float64], sample_rate: int) -> tuple[int, int]:
    """The first sample to keep and the one behind the last."""
    first = _silence_before(samples, voice, sample_rate)
    last = len(samples) - _silence_before(samples[::-1], voice[::-1], sample_rate)
    return (first, last) if first < last else (0, len(samples))


def _silence_before(samples: NDArray[np.float64], voice: NDArray[np.float64], sample_rate: int) -> int:
    """Samples to cut. Where nothing at all sounds, all of it goes; of other silence some stays."""
    if len(samples) <= _LONG_SILENCE * sample_rate:
        return 0
    sounding = int(np.argmax(samples != samples[0]))
    if sounding > _LONG_SILENCE * sample_rate:
        return sounding
    power = powers(voice, sample_rate)
    speech = loud(power)
    threshold = SILENT * speech
    # Its first frame may be half of one.
    begins = int(np.argmax(power > threshold)) + 1
    noise = power[begins : begins + int(_LONG_SILENCE * FRAMES_PER_SECOND)]
    if len(noise) and noise.max() < min(_STEADY * noise.min(), _BELOW_SPEECH * speech):
        threshold = max(threshold, _STEADY * noise.min())
    first = _first_word(power > threshold) * (sample_rate // FRAMES_PER_SECOND)
    return max(0, first - int(_KEPT_SILENCE * sample_rate)) if first > _LONG_SILENCE * sample_rate else 0


def _first_word(audible: NDArray[np.bool_]) -> int:
    """Index of the first frame of the first word; 0 where there is none."""
    counts = np.convolve(audible, np.ones(_WORD_FRAMES), "valid") if len(audible) >= _WORD_FRAMES else np.zeros(1)
    words = np.flatnonzero(counts >= _WORD_SHARE * _WORD_FRAMES)
    return int(words[0] + np.argmax(audible[words[0] :])) if len(words) else 0
