"""Text to utterances: each sentence by two voices at one speed."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from services.codec.audio.volume import normalise_volume
from training.corpus.espeak import Espeak, Spoken, Word
from training.corpus.phones import INDEX, SILENCE, UnknownPhone, phone_index
from training.corpus.speakers import LEVELS, MODERATE, WORDS_PER_MINUTE, Voice
from training.corpus.utterance import SAMPLE_RATE, Utterance

# Silence before and after, in samples.
LEAD, TAIL = SAMPLE_RATE * 8 // 100, SAMPLE_RATE // 5
LONGEST_SECONDS = 9.0
_CHARACTERS_PER_SECOND = 14.0
# Hz: where a tilt changes nothing, and between which it acts.
_PIVOT, _LOWEST, _HIGHEST = 1000.0, 250.0, 4000.0
_DECIBELS_PER_OCTAVE = 20 * np.log10(2)
"""Of a gain that grows with the frequency."""

Rendered = tuple[Utterance, NDArray[np.int16]]


def choose_speed(text: str, draws: Generator) -> int:
    """The usual one in two of five cases; never so slow that the sentence gets too long."""
    speed = MODERATE if draws.random() < 0.25 else int(draws.integers(LEVELS))
    while speed < LEVELS - 1 and _seconds(text, speed) > LONGEST_SECONDS:
        speed += 1
    return speed


def render(espeak: Espeak, text: str, voice: Voice, speed: int, group: int) -> Rendered | None:
    """None for a text with foreign phones, or one that got too long. Shard and offset are left at 0."""
    spoken = espeak.say(text, voice.variant, WORDS_PER_MINUTE[speed])
    try:
        phones = _phones(spoken, espeak.sample_rate)
    except UnknownPhone:
        return None
    samples = _samples(spoken, espeak.sample_rate, voice.speaker.tilt)
    if len(samples) > LONGEST_SECONDS * SAMPLE_RATE or len(phones) < 3:
        return None
    words = [(start, end - start, _moved(sample, espeak.sample_rate)) for start, end, sample in _words(spoken, text)]
    utterance = Utterance(
        shard=0,
        offset=0,
        samples=len(samples),
        text=text,
        voice=voice.name,
        gender=voice.speaker.gender,
        pitch=voice.pitch,
        speed=speed,
        group=group,
        words=np.array(words, np.int32),
        phones=np.array(phones, np.int32),
    )
    return utterance, samples


def _seconds(text: str, speed: int) -> float:
    return len(text) / _CHARACTERS_PER_SECOND * WORDS_PER_MINUTE[MODERATE] / WORDS_PER_MINUTE[speed]


def tilted(samples: NDArray[np.float64], tilt: float) -> NDArray[np.float64]:
    """[n] at SAMPLE_RATE; tilt in dB an octave. No phase is moved."""
    frequencies = np.clip(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), _LOWEST, _HIGHEST)
    gains = (frequencies / _PIVOT) ** (tilt / _DECIBELS_PER_OCTAVE)
    return np.fft.irfft(np.fft.rfft(samples) * gains, len(samples))


def _samples(spoken: Spoken, rate: int, tilt: float) -> NDArray[np.int16]:
    """At the volume that the codec's tokenizer would give it, silence around it."""
    resampled = soxr.resample(spoken.samples / 32768, rate, SAMPLE_RATE, quality="HQ")
    padded = np.pad(normalise_volume(tilted(resampled, tilt)), (LEAD, TAIL))
    return np.rint(np.clip(padded, -1, 1) * 32767).astype(np.int16)


def _words(spoken: Spoken, text: str) -> Iterator[tuple[int, int, int]]:
    """First character, the one behind the last, and sample. What espeak-ng says in one go with a word, such as the
    article in "of the", has no event of its own: it belongs to that word.
    """
    words = sorted(spoken.words, key=lambda word: (word.sample, word.start))
    for word, following in pairwise([*words, Word(len(text), 0, 0)]):
        own = text[word.start : max(following.start, word.start + word.length)].rstrip()
        yield word.start, word.start + len(own), word.sample


def _phones(spoken: Spoken, rate: int) -> list[tuple[int, int]]:
    """Index and start; silences in a row are one, and the last goes on to the end."""
    phones: list[tuple[int, int]] = []
    for mnemonic, sample in spoken.phones:
        index = phone_index(mnemonic)
        if index is None or (phones and phones[-1][0] == index == INDEX[SILENCE]):
            continue
        phones.append((index, _moved(sample, rate)))
    if phones and phones[-1][0] != INDEX[SILENCE]:
        phones.append((INDEX[SILENCE], _moved(len(spoken.samples), rate)))
    return phones


def _moved(sample: int, rate: int) -> int:
    return LEAD + round(sample * SAMPLE_RATE / rate)
