"""One shard's worth of tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.corpus.corpus import Corpus
from training.device import Compute
from training.tokens import store
from training.tokens.tokenizer import Tokenizer

_BATCH_ON_GPU, _BATCH_ON_CPU = 100, 8


@dataclass(frozen=True)
class Task:
    """voice: the exported tokenizer; speech: a part of the corpus; folder: where its tokens go."""

    voice: Path
    device: str
    speech: Path
    folder: Path
    shard: int

    def run(self) -> int:
        """Returns the number of utterances."""
        corpus, tokenizer = _corpus(self.speech), _tokenizer(self.voice, self.device)
        indices = [index for index, each in enumerate(corpus.utterances) if each.shard == self.shard]
        codes: dict[int, NDArray[np.uint16]] = {}
        globals_: dict[int, NDArray[np.uint16]] = {}
        size = _BATCH_ON_GPU if tokenizer.compute.on_gpu else _BATCH_ON_CPU
        for group in _groups(sorted(indices, key=lambda index: corpus.utterances[index].samples), size):
            clips = [corpus.samples(index).numpy().astype(np.float64) for index in group]
            codes.update(zip(group, tokenizer.codes(clips), strict=True))
            globals_.update(zip(group, tokenizer.globals_(clips), strict=True))
        rows = np.stack([globals_[index] for index in indices])
        store.write(self.folder, self.shard, [codes[index] for index in indices], rows)
        return len(indices)


@cache
def _corpus(folder: Path) -> Corpus:
    return Corpus(folder, torch.device("cpu"))


@cache
def _tokenizer(voice: Path, device: str) -> Tokenizer:
    return Tokenizer(voice, Compute.choose(device))


def _groups(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
