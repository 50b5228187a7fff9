"""One shard's worth of work."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from training.corpus import shards
from training.corpus.espeak import Espeak
from training.corpus.render import Rendered, choose_speed, render
from training.corpus.speakers import Speaker, Voice

SENTENCES_PER_SHARD = 200
_TEACHERS_SHARE = 0.2


@dataclass(frozen=True)
class Task:
    """Sentences for one shard, and the speakers to choose from."""

    folder: Path
    number: int
    sentences: Sequence[str]
    teachers: Sequence[Speaker]
    others: Sequence[Speaker]
    seed: int

    def run(self) -> int:
        """Returns the number of samples."""
        return shards.write(self.folder, self.number, self._rendered())

    def _rendered(self) -> Iterator[Rendered]:
        espeak = Espeak()
        draws = np.random.default_rng([self.seed, self.number])
        for index, text in enumerate(self.sentences):
            speed = choose_speed(text, draws)
            group = self.number * SENTENCES_PER_SHARD + index
            for voice in self._voices(draws):
                rendered = render(espeak, text, voice, speed, group)
                if rendered is not None:
                    yield rendered

    def _voices(self, draws: Generator) -> Iterator[Voice]:
        """Two, of two speakers."""
        chosen: list[Speaker] = []
        while len(chosen) < 2:
            known = self.teachers and draws.random() < _TEACHERS_SHARE
            pool = self.teachers if known else self.others
            speaker = pool[int(draws.integers(len(pool)))]
            if speaker not in chosen:
                chosen.append(speaker)
                yield Voice(speaker, int(draws.integers(len(speaker.f0))))
