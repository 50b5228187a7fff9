"""Do the labels of a designed voice act? Pitch, speed and gender, each by itself."""

from collections.abc import Sequence

import numpy as np

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.generation import MadeUpVoice
from training.evaluate.sound import median_f0, sounding_seconds
from training.evaluate.voice import ExportedVoice, Said

_BORDER_HZ = 149.0
"""Between the teachers' men and women."""


def measure(voice: ExportedVoice, texts: Sequence[str], gender: str) -> dict[str, object]:
    """By level, from very low to very high: Hz, and words per second."""
    pitches = [_said(voice, texts, DesignedVoice(Gender(gender), pitch=level)) for level in Level]
    speeds = [_said(voice, texts, DesignedVoice(Gender(gender), speed=level)) for level in Level]
    f0 = [[median_f0(said.samples) for said in level] for level in pitches]
    right = [value > 0 and (value > _BORDER_HZ) == (gender == "female") for level in f0 for value in level]
    return {
        "f0_by_pitch": [round(float(np.median(level)), 1) for level in f0],
        "words_per_second_by_speed": [round(_words_per_second(level, texts), 2) for level in speeds],
        "gender_right": float(np.mean(right)),
    }


def _said(voice: ExportedVoice, texts: Sequence[str], design: DesignedVoice) -> list[Said]:
    return voice.say([(text, MadeUpVoice(design)) for text in texts])


def _words_per_second(said: Sequence[Said], texts: Sequence[str]) -> float:
    seconds = sum(sounding_seconds(spoken.samples) for spoken in said)
    return sum(len(text.split()) for text in texts) / max(seconds, 1e-3)
