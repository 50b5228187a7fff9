"""English words and how often they follow each other, from the dictionary and the language model of pocketsphinx (BSD).

Both were made by CMU Sphinx and come with the package; none of its text is copied: words are drawn anew.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# Natural logarithm of the base of pocketsphinx's log-probabilities.
_LOG_BASE = float(np.log(1.0001))
_RAREST = -19.5
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


class Model(Protocol):
    """Of pocketsphinx: the log-probability of the first word after the others, the latest of them first."""

    def prob(self, words: list[str]) -> int: ...


class Vocabulary:
    """`frequencies` sum to 1 over `words`."""

    def __init__(self, words: Sequence[str], frequencies: NDArray[np.float64], model: Model) -> None:
        self.words = list(words)
        self.frequencies = frequencies
        self._model = model
        self._logs = dict(zip(self.words, np.log(frequencies), strict=True))
        flattened = frequencies**0.6
        self._flattened = np.cumsum(flattened / flattened.sum())

    @classmethod
    def read(cls) -> "Vocabulary":
        import pocketsphinx

        directory = Path(pocketsphinx.get_model_path("en-us"))
        model = pocketsphinx.NGramModel.readfile(str(directory / "en-us.lm.bin"))
        words = sorted(set(_dictionary(directory / "cmudict-en-us.dict")))
        logs = np.array([model.prob([word]) for word in words]) * _LOG_BASE
        known = logs > _RAREST
        frequencies = np.exp(logs[known])
        return cls(
            [word for word, keep in zip(words, known, strict=True) if keep], frequencies / frequencies.sum(), model
        )

    def random(self, count: int, draws: Generator) -> list[str]:
        """Words by themselves; the rare ones more often than in running text."""
        return [self.words[index] for index in np.searchsorted(self._flattened, draws.random(count))]

    def running(self, count: int, draws: Generator) -> list[str]:
        """Words as they follow each other: each is picked from a handful by what precedes it."""
        words: list[str] = []
        for candidates in draws.choice(len(self.words), (count, 24), p=self.frequencies):
            names = [self.words[index] for index in candidates]
            gains = np.array([self._after(words, name) - self._logs[name] for name in names])
            weights = np.exp(np.minimum(gains - gains.max(), 0))
            words.append(names[draws.choice(len(names), p=weights / weights.sum())])
        return words

    def likelihood(self, words: Sequence[str]) -> float:
        """The mean logarithm of the probability of each word after those before it."""
        return float(np.mean([self._after(words[:index], word) for index, word in enumerate(words)]))

    def _after(self, words: Sequence[str], following: str) -> float:
        return self._model.prob([following, *words[-1:-3:-1]]) * _LOG_BASE


def _dictionary(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            word = line.split(maxsplit=1)[0]
            if (_WORD.fullmatch(word) and len(word) > 1) or word in ("a", "i"):
                yield word
