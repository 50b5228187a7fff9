"""The teacher's speech as frames, one file an utterance: rendered as far as asked, and never twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from training.corpus import kokoro
from training.corpus.kokoro import Teacher
from training.corpus.kokoro_phones import phones_of
from training.corpus.pronunciation import Pronunciation, UnknownWord
from training.corpus.utterance import SAMPLE_RATE
from training.frames import HOP
from training.oracle.cast import Cast
from training.oracle.vocoder import Frames, Samples, Vocoder


@dataclass(frozen=True)
class Spoken:
    """samples at SAMPLE_RATE, full scale 1. phones [n, 3]: index in PHONES, first sample, stress."""

    text: str
    voice: str
    phones: NDArray[np.int64]
    samples: Samples
    frames: Frames

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def write(self, file: Path) -> None:
        partial = file.with_suffix(".partial.npz")
        pcm = np.rint(np.clip(self.samples, -1, 1) * 32767).astype(np.int16)
        np.savez(
            partial,
            text=self.text,
            voice=self.voice,
            phones=self.phones,
            samples=pcm,
            envelope=self.frames.envelope,
            f0=self.frames.f0,
        )
        partial.replace(file)

    @classmethod
    def read(cls, file: Path) -> "Spoken":
        with np.load(file) as arrays:
            frames = Frames(arrays["envelope"], arrays["f0"])
            samples = (arrays["samples"] / 32767).astype(np.float32)
            return cls(str(arrays["text"]), str(arrays["voice"]), arrays["phones"], samples, frames)


@dataclass(frozen=True)
class Booth:
    """Where texts become utterances."""

    teacher: Teacher
    vocoder: Vocoder
    pronunciation: Pronunciation

    def spoken(self, text: str, voice: str, speed: float = 1.0) -> Spoken:
        """Raises UnknownWord, and KeyError for a phone that English does not have."""
        reading = self.teacher.read(self.pronunciation.of(text), voice, speed)
        samples = soxr.resample(reading.samples, kokoro.SAMPLE_RATE, SAMPLE_RATE).astype(np.float32)
        phones = phones_of(reading)
        phones[:, 1] = phones[:, 1] * SAMPLE_RATE // kokoro.SAMPLE_RATE
        # Kokoro tells its pitch every 12.5 ms, a frame stands every 20.
        places = np.arange(len(samples) // HOP + 1) * HOP / SAMPLE_RATE
        moments = places * kokoro.SAMPLE_RATE * kokoro.PITCHES_PER_UNIT / kokoro.UNIT
        f0 = reading.f0[np.minimum(moments.astype(int), len(reading.f0) - 1)]
        return Spoken(text, voice, phones, samples, self.vocoder.analyse(samples, f0))


def render(booth: Booth, cast: Cast, folder: Path, seconds: float) -> Iterator[float]:
    """Text after text, voice after voice, until there is so much. Yields how much there is, in seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = 0.0
    for number, text in enumerate(cast.texts):
        if whole >= seconds:
            return
        file = folder / f"{number:05}.npz"
        if not file.exists():
            try:
                booth.spoken(text, cast.voices[number % len(cast.voices)]).write(file)
            except (UnknownWord, KeyError):
                continue
        whole += Spoken.read(file).seconds
        yield whole


def read(folder: Path) -> list[Spoken]:
    return [Spoken.read(file) for file in sorted(folder.glob("?????.npz"))]
