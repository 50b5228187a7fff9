"""The voice's teacher: espeak-ng's speakers that the designed voices were taught by, and the phones that they say."""

from dataclasses import dataclass
from importlib.metadata import version

import soxr

from bench.speech.ears import SAMPLE_RATE, Samples
from services.cli.failure import Failure
from training.corpus.espeak import Espeak
from training.corpus.phones import INDEX, SILENCE
from training.corpus.render import render
from training.corpus.speakers import GENDERS, MODERATE, Cast
from training.corpus.utterance import SAMPLE_RATE as TAUGHT_RATE

_SPEAKERS = {speaker.gender: speaker for speaker in Cast.draw(0, 0).teachers}
TEACHERS = {gender: f"{_SPEAKERS[gender].name}{MODERATE}" for gender in GENDERS}
"""Designed voice -> its teacher's."""


@dataclass(frozen=True)
class Lesson:
    """samples: [T] at SAMPLE_RATE; phones: indices in training.corpus.phones.PHONES, silences left out."""

    samples: Samples
    phones: tuple[int, ...]


class Teacher:
    def __init__(self) -> None:
        self._voices = Cast.draw(0, 0).voices
        self.version = version("espeakng-loader")
        self._espeak = Espeak()

    def say(self, text: str, voice: str) -> Lesson:
        """At the usual speed. Raises Failure for a voice that is none of the teachers'."""
        if voice not in self._voices:
            raise Failure(f"There is no teacher {voice}; there are {', '.join(self._voices)}.")
        rendered = render(self._espeak, text, self._voices[voice], MODERATE, group=0)
        if rendered is None:
            raise Failure(f"The teacher cannot say it, or it is too long: {text}")
        utterance, samples = rendered
        phones = tuple(int(phone) for phone in utterance.phones[:, 0] if phone != INDEX[SILENCE])
        heard: Samples = soxr.resample(samples.astype("float32") / 32768, TAUGHT_RATE, SAMPLE_RATE, quality="VHQ")
        return Lesson(heard, phones)
