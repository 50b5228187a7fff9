"""Contents on disk: for each shard of the corpus one file with its utterances in order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.corpus.corpus import Corpus


def file_of(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.npz"


def write(folder: Path, number: int, contents: Sequence[NDArray[np.uint16]]) -> None:
    partial = folder / f"{number:04}.partial.npz"
    np.savez(partial, contents=np.concatenate(contents), lengths=np.array([len(row) for row in contents], np.int32))
    partial.replace(file_of(folder, number))


def read_shard(folder: Path, number: int) -> list[NDArray[np.uint16]]:
    """Raises FileNotFoundError."""
    with np.load(file_of(folder, number)) as arrays:
        return np.split(arrays["contents"], np.cumsum(arrays["lengths"])[:-1])


def read(folder: Path, corpus: Corpus) -> list[NDArray[np.uint16]]:
    """Of each utterance [F]. Raises FileNotFoundError where a shard has none, ValueError where they are of another
    corpus.
    """
    shards = dict.fromkeys(utterance.shard for utterance in corpus.utterances)
    contents = [row for number in shards for row in read_shard(folder, number)]
    if len(contents) != len(corpus.utterances):
        raise ValueError(f"{folder}: contents of {len(contents)} utterances, not {len(corpus.utterances)}")
    return contents
