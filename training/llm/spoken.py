"""One utterance as the language model sees it: text, codes, and what is known of each frame."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.codec.phases import PHASES
from training.contents.features import moments_of, phones_at
from training.corpus.pitch import Pitch
from training.corpus.utterance import SAMPLE_RATE, Utterance
from training.frames import HOP
from training.llm.vocabulary import encode

# Frames to either side over which the pitch is smoothed; and the distance, in steps, from which it takes another step.
_SMOOTHED, _STAYS = 7, 0.7


@dataclass(frozen=True)
class Spoken:
    """text [T] bytes; contents, f0, phones, following, characters: one of each per frame [F]. contents: of the codes;
    f0: in Hz, 0 without voice; following: the phone behind the
    present one; characters: where in the text the voice is, by characters.
    """

    text: NDArray[np.int64]
    contents: NDArray[np.int64]
    f0: NDArray[np.float32]
    phones: NDArray[np.int64]
    following: NDArray[np.int64]
    characters: NDArray[np.float32]

    @classmethod
    def of(cls, utterance: Utterance, contents: NDArray[np.int64], pitch: Pitch) -> "Spoken":
        moments = moments_of(len(contents))
        return cls(
            text=np.array(encode(utterance.text), np.int64),
            contents=contents,
            f0=pitch.at(moments)[0],
            phones=phones_at(moments, utterance),
            following=_following(moments, utterance),
            characters=characters_at(moments, utterance),
        )

    def __add__(self, other: "Spoken") -> "Spoken":
        """One after the other."""
        moved = other.characters + np.float32(len(self.text))
        return Spoken(
            text=np.concatenate([self.text, other.text]),
            contents=np.concatenate([self.contents, other.contents]),
            f0=np.concatenate([self.f0, other.f0]),
            phones=np.concatenate([self.phones, other.phones]),
            following=np.concatenate([self.following, other.following]),
            characters=np.concatenate([self.characters, moved]),
        )

    def spaced(self) -> "Spoken":
        """With a space behind the text, which is not heard."""
        text = np.append(self.text, np.int64(ord(" ")))
        return Spoken(text, self.contents, self.f0, self.phones, self.following, self.characters)

    def planes(self, higher: float, draws: Generator) -> NDArray[np.int64]:
        """Of the codes, if the pitch were `higher` by this factor. It goes in steps of a quarter of a period a frame
        (12.5 Hz), and slowly: from the phases of a free pitch a language model foresees little. Every voiced stretch
        begins anywhere in a period.
        """
        voiced = self.f0 > 0
        begins = np.cumsum(np.diff(voiced, prepend=False) & voiced)
        quarters = np.cumsum(_steps(self.f0 * higher)) + draws.integers(PHASES, size=len(begins) + 1)[begins]
        return np.where(voiced, 1 + quarters % PHASES, 0)


def _steps(f0: NDArray[np.float32]) -> NDArray[np.int64]:
    """f0 [F] in Hz, 0 without voice -> by how many quarters of a period each frame is ahead of the one before."""
    known = np.flatnonzero(f0)
    if not len(known):
        return np.zeros(len(f0), np.int64)
    held = np.interp(np.arange(-_SMOOTHED, len(f0) + _SMOOTHED), known, f0[known] * (PHASES * HOP / SAMPLE_RATE))
    smooth = np.convolve(held, np.ones(2 * _SMOOTHED + 1) / (2 * _SMOOTHED + 1), "valid")
    steps = np.rint(smooth).astype(np.int64)
    for index in range(1, len(steps)):
        if abs(smooth[index] - steps[index - 1]) < _STAYS:
            steps[index] = steps[index - 1]
    return steps


def _following(moments: NDArray[np.int64], utterance: Utterance) -> NDArray[np.int64]:
    index = np.searchsorted(utterance.phones[:, 1], moments, side="right")
    following: NDArray[np.int64] = utterance.phones[np.minimum(index, len(utterance.phones) - 1), 0].astype(np.int64)
    return following


def characters_at(moments: NDArray[np.int64], utterance: Utterance) -> NDArray[np.float32]:
    """Within a word in proportion to time; after the last one the end of the text."""
    last = len(utterance.text) - 1
    words = utterance.words[np.argsort(utterance.words[:, 2], kind="stable")]
    end = int(utterance.phones[-1, 1])
    starts = np.append(words[:, 2], max(end, int(words[-1, 2]) + 1))
    index = np.clip(np.searchsorted(words[:, 2], moments, side="right") - 1, 0, len(words) - 1)
    length = np.maximum(starts[index + 1] - starts[index], 1)
    share = np.clip((moments - starts[index]) / length, 0, 1)
    characters = words[index, 0] + share * np.maximum(words[index, 1] - 1, 0)
    characters = np.where(moments >= end, last, characters)
    return np.clip(characters, 0, last).astype(np.float32)
