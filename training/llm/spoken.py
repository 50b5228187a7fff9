"""One utterance as the language model sees it: text, codes, and what is known of each frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.codec.pairs import phones_at
from training.codec.sizes import FIRST_FRAME, HOP
from training.corpus.utterance import Utterance
from training.llm.vocabulary import encode


@dataclass(frozen=True)
class Spoken:
    """text [T] bytes; codes, phones, following, characters: one of each per frame [F]. following: the phone behind the
    present one; characters: where in the text the voice is, by characters.
    """

    text: NDArray[np.int64]
    codes: NDArray[np.int64]
    phones: NDArray[np.int64]
    following: NDArray[np.int64]
    characters: NDArray[np.float32]

    @classmethod
    def of(cls, utterance: Utterance, codes: NDArray[np.uint16]) -> "Spoken":
        moments = FIRST_FRAME // 2 + HOP * np.arange(len(codes))
        return cls(
            text=np.array(encode(utterance.text), np.int64),
            codes=codes.astype(np.int64),
            phones=phones_at(moments, utterance),
            following=_following(moments, utterance),
            characters=characters_at(moments, utterance),
        )

    def __add__(self, other: "Spoken") -> "Spoken":
        """One after the other."""
        moved = other.characters + np.float32(len(self.text))
        return Spoken(
            text=np.concatenate([self.text, other.text]),
            codes=np.concatenate([self.codes, other.codes]),
            phones=np.concatenate([self.phones, other.phones]),
            following=np.concatenate([self.following, other.following]),
            characters=np.concatenate([self.characters, moved]),
        )

    def spaced(self) -> "Spoken":
        """With a space behind the text, which is not heard."""
        text = np.append(self.text, np.int64(ord(" ")))
        return Spoken(text, self.codes, self.phones, self.following, self.characters)


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
