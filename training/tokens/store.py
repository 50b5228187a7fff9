"""Global tokens on disk: for each shard of the corpus one array with its utterances in order."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.contents import store as contents
from training.corpus.corpus import Corpus


@dataclass(frozen=True)
class Tokens:
    """Of one part of the corpus, uint16: `contents[index]` [F] and `globals_[index]` [N] of utterance `index`."""

    contents: list[NDArray[np.uint16]]
    globals_: NDArray[np.uint16]

    @classmethod
    def read(cls, contents_folder: Path, folder: Path, corpus: Corpus) -> "Tokens":
        """Raises FileNotFoundError where a shard has none, ValueError where they are of another corpus."""
        shards = dict.fromkeys(utterance.shard for utterance in corpus.utterances)
        globals_ = np.concatenate([np.load(file_of(folder, number)) for number in shards])
        if len(globals_) != len(corpus.utterances):
            raise ValueError(f"{folder}: tokens of {len(globals_)} utterances, not {len(corpus.utterances)}")
        return cls(contents.read(contents_folder, corpus), globals_)


def file_of(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.npy"


def write(folder: Path, number: int, globals_: NDArray[np.uint16]) -> None:
    partial = folder / f"{number:04}.partial.npy"
    np.save(partial, globals_)
    partial.replace(file_of(folder, number))
