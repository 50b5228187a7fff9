"""Who reads what: texts and voices, for learning and, unseen, for hearing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from training.corpus.pronunciation import Pronunciation, UnknownWord
from training.text.lists import Lists
from training.text.sentences import EVALUATED, Sentences, evaluated
from training.text.vocabulary import Vocabulary

HELD_OUT_VOICES = ("af_sarah", "am_eric", "bf_alice", "bm_lewis")
"""Heard in the tests alone, as every second of their voices."""
TEST_TEXTS = EVALUATED / "dev.txt"
_ENGLISH = ("af_", "am_", "bf_", "bm_")


@dataclass(frozen=True)
class Cast:
    texts: tuple[str, ...]
    voices: tuple[str, ...]

    @classmethod
    def of_training(cls, voices: list[str], pronunciation: Pronunciation, count: int, seed: int) -> "Cast":
        """English voices alone, without those held out."""
        texts = tuple(islice(_sayable(pronunciation, seed), count))
        return cls(texts, tuple(each for each in _english(voices) if each not in HELD_OUT_VOICES))

    @classmethod
    def of_tests(cls, voices: list[str], count: int) -> "Cast":
        """Voices that learning knows and voices that it does not in turns."""
        lines = Path(TEST_TEXTS).read_text("utf-8").splitlines()
        texts = tuple(lines[index % len(lines)] + "." for index in range(count))
        known = [each for each in _english(voices) if each not in HELD_OUT_VOICES]
        # A text that comes again comes in another voice.
        turns = [index // 2 + index // len(lines) for index in range(count)]
        spoken = [
            HELD_OUT_VOICES[turn % 4] if index % 2 else known[turn * 5 % len(known)] for index, turn in enumerate(turns)
        ]
        return cls(texts, tuple(spoken))


def _english(voices: list[str]) -> list[str]:
    return [each for each in voices if each.startswith(_ENGLISH)]


def _sayable(pronunciation: Pronunciation, seed: int) -> Iterator[str]:
    for text in Sentences(Vocabulary.read(), Lists.read(), evaluated(), seed):
        try:
            pronunciation.of(text)
        except UnknownWord:
            continue
        yield text
