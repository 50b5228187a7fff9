"""Sentences of every kind, none twice, none that an evaluation will ask for."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.random import Generator

from training.text.lists import Lists
from training.text.numbers import letters, phrase
from training.text.templates import Templates
from training.text.vocabulary import Vocabulary

EVALUATED = Path(__file__).parents[2] / "bench" / "speech"
MOST_CHARACTERS = 140

Maker = Callable[[Generator], str]


def plain(text: str) -> str:
    """What counts as the same text: lower-case words alone."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def evaluated() -> frozenset[str]:
    """Every line of the texts that the voice is measured with."""
    lines = (line for file in sorted(EVALUATED.glob("*.txt")) for line in file.read_text("utf-8").splitlines())
    return frozenset(filter(None, map(plain, lines)))


class Sentences:
    """An endless supply. `forbidden`: plain texts that no sentence may hold, alone or as a part."""

    def __init__(self, vocabulary: Vocabulary, lists: Lists, forbidden: Iterable[str], seed: int) -> None:
        self._draws = np.random.default_rng(seed)
        self._forbidden: dict[str, list[str]] = {}
        for text in forbidden:
            self._forbidden.setdefault(text.split()[0], []).append(text)
        self._made: set[str] = set()
        self._makers = _makers(vocabulary, Templates(lists))

    def __iter__(self) -> Iterator[str]:
        shares = np.array([share for share, _ in self._makers])
        while True:
            _, maker = self._makers[self._draws.choice(len(shares), p=shares / shares.sum())]
            text = _written(maker(self._draws), self._draws)
            key = plain(text)
            if len(text) <= MOST_CHARACTERS and key and key not in self._made and not self._holds_forbidden(key):
                self._made.add(key)
                yield text

    def _holds_forbidden(self, key: str) -> bool:
        suspects = (text for word in set(key.split()) for text in self._forbidden.get(word, ()))
        return any(f" {text} " in f" {key} " for text in suspects)


def _makers(vocabulary: Vocabulary, templates: Templates) -> list[tuple[float, Maker]]:
    """Shares and makers."""

    def random(draws: Generator) -> str:
        return " ".join(vocabulary.random(int(draws.integers(3, 15)), draws))

    def running(draws: Generator) -> str:
        return " ".join(vocabulary.running(int(draws.integers(5, 20)), draws))

    def short(draws: Generator) -> str:
        return " ".join(vocabulary.random(int(draws.integers(1, 4)), draws))

    def counted(draws: Generator) -> str:
        return f"{' '.join(vocabulary.running(int(draws.integers(2, 7)), draws))} {phrase(draws)}"

    def spelled_out(draws: Generator) -> str:
        return f"{letters(draws)} {' '.join(vocabulary.running(int(draws.integers(2, 6)), draws))}"

    return [
        (0.38, templates.sentence),
        (0.28, running),
        (0.22, random),
        (0.04, short),
        (0.06, counted),
        (0.02, spelled_out),
    ]


def _written(text: str, draws: Generator) -> str:
    """As people type: with or without a capital, marks in the middle and at the end."""
    chance = draws.random()
    text = re.sub(r"\bi\b", "I", text)
    if chance < 0.6:
        text = text[:1].upper() + text[1:]
    words = text.split(" ")
    if len(words) > 8 and "," not in text and draws.random() < 0.3:
        words[int(draws.integers(3, len(words) - 3))] += ","
        text = " ".join(words)
    if text.endswith(("?", "!", ".")) or chance > 0.55:
        return text
    return text + (".", ".", ".", "?", "!", ";")[int(draws.integers(6))]
