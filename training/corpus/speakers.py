"""Who speaks: men and women as variants of espeak-ng's American English, each at five levels of pitch.

Nothing in a variant changes how long a phone lasts but by a period of the voice, so that a text has the same phones at
nearly the same times whoever says it.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.random import Generator

GENDERS = ("female", "male")
LEVELS = 5
MODERATE = 2
# Edges of the levels of the median f0 in Hz; between the genders there is a gap.
F0_EDGES = {"male": (70.0, 82.0, 95.0, 110.0, 128.0, 146.0), "female": (152.0, 171.0, 190.0, 212.0, 242.0, 280.0)}
WORDS_PER_MINUTE = (115, 143, 175, 212, 256)
"""By level of speed."""

# dB an octave: how much brighter or duller than espeak-ng a speaker and his microphone are at most.
_TILT = 5.0
# How far up its range espeak-ng's intonation has its median.
_MEDIAN = 0.56
_TEACHER = {
    "male": ((100, 100, 100),) * 9,
    # en-us+f3 without its echo.
    "female": (
        *((105, 80, 150), (120, 75, 150), (135, 70, 150), (125, 80, 150), (125, 80, 150), (125, 80, 150)),
        *((120, 70, 150), (110, 70, 150), (110, 70, 150)),
    ),
}


@dataclass(frozen=True)
class Speaker:
    """formants: frequency, height and width of nine, in percent; span: the range of the pitch relative to its median;
    manner: further lines of the variant. f0: the median at each level, Hz. tilt: of the spectrum, dB an octave; no
    variant says it.
    """

    name: str
    gender: str
    formants: tuple[tuple[int, int, int], ...]
    span: float
    manner: tuple[str, ...]
    f0: tuple[float, ...]
    tilt: float

    def variant(self, level: int) -> str:
        low = self.f0[level] * (1 - _MEDIAN * self.span)
        lines = [
            "language variant",
            f"name {self.name}{level}",
            f"gender {self.gender}",
            f"pitch {low:.0f} {low + self.f0[level] * self.span:.0f}",
            *(f"formant {index} {' '.join(map(str, formant))}" for index, formant in enumerate(self.formants)),
            *self.manner,
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Voice:
    """A speaker at one level of pitch: what a recording tells of its speaker."""

    speaker: Speaker
    pitch: int

    @property
    def name(self) -> str:
        return f"{self.speaker.name}{self.pitch}"

    @property
    def variant(self) -> str:
        """As espeak-ng's variant files describe a voice."""
        return self.speaker.variant(self.pitch)

    @property
    def traits(self) -> tuple[float, ...]:
        """What tells this voice from others, as numbers: pitch, its span, tilt, formants."""
        formants = (float(value) for formant in self.speaker.formants for value in formant)
        return (float(np.log(self.speaker.f0[self.pitch])), self.speaker.span, self.speaker.tilt, *formants)


@dataclass(frozen=True)
class Cast:
    """teachers: the speakers of the designed voices, female and male; pupils: others to train with; held_out: never."""

    teachers: tuple[Speaker, ...]
    pupils: tuple[Speaker, ...]
    held_out: tuple[Speaker, ...]

    @classmethod
    def draw(cls, pupils: int, held_out: int, seed: int = 0) -> "Cast":
        teachers = tuple(_teacher(gender) for gender in GENDERS)
        drawn = [_speaker(index, np.random.default_rng([seed, index])) for index in range(pupils + held_out)]
        return cls(teachers, tuple(drawn[held_out:]), tuple(drawn[:held_out]))

    @cached_property
    def voices(self) -> dict[str, Voice]:
        """Of all, by name."""
        everyone = (*self.teachers, *self.pupils, *self.held_out)
        voices = (Voice(speaker, level) for speaker in everyone for level in range(LEVELS))
        return {voice.name: voice for voice in voices}


def _teacher(gender: str) -> Speaker:
    f0 = tuple(float(np.sqrt(low * high)) for low, high in pairwise(F0_EDGES[gender]))
    manner = ("breath 0 2 3 3 3 3 3 2", "roughness 4") if gender == "female" else ()
    span = 0.36 if gender == "male" else 0.5
    return Speaker(f"{gender}_teacher_", gender, _TEACHER[gender], span, manner, f0, tilt=0.0)


def _speaker(index: int, draws: Generator) -> Speaker:
    """Genders alternate."""
    gender = GENDERS[index % 2]
    length = draws.uniform(0.92, 1.05) if gender == "male" else draws.uniform(1.06, 1.24)
    formants = tuple(_formant(length, draws) for _ in range(9))
    f0 = tuple(_within(low, high, draws) for low, high in pairwise(F0_EDGES[gender]))
    span, manner = float(draws.uniform(0.28, 0.52)), _manner(draws)
    return Speaker(f"{gender}{index:02}_", gender, formants, span, manner, f0, float(draws.uniform(-_TILT, _TILT)))


def _formant(length: float, draws: Generator) -> tuple[int, int, int]:
    frequency = 100 * length * draws.uniform(0.95, 1.05)
    return round(frequency), round(draws.uniform(72, 110)), round(draws.uniform(85, 150))


def _within(low: float, high: float, draws: Generator) -> float:
    """In the middle of a level, so that the label holds."""
    return float(low * (high / low) ** draws.uniform(0.25, 0.75))


def _manner(draws: Generator) -> tuple[str, ...]:
    lines = [
        f"voicing {round(draws.uniform(80, 130))}",
        f"consonants {round(draws.uniform(80, 130))} {round(draws.uniform(80, 130))}",
        f"flutter {int(draws.integers(0, 8))}",
        f"roughness {int(draws.integers(0, 5))}",
    ]
    if draws.random() < 0.3:
        lines.append("breath 0 2 3 3 3 3 3 2")
    return tuple(lines)
