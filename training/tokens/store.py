"""Tokens on disk: for each shard of the corpus one file with its utterances in order."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.corpus.corpus import Corpus


@dataclass(frozen=True)
class Tokens:
    """Of one part of the corpus: `codes[index]` [F] and `globals_[index]` [N] of utterance `index`, uint16."""

    codes: list[NDArray[np.uint16]]
    globals_: NDArray[np.uint16]

    @classmethod
    def read(cls, folder: Path, corpus: Corpus) -> "Tokens":
        """Raises FileNotFoundError where a shard has none, ValueError where they are of another corpus."""
        codes: list[NDArray[np.uint16]] = []
        rows: list[NDArray[np.uint16]] = []
        for number in dict.fromkeys(utterance.shard for utterance in corpus.utterances):
            of_shard, globals_ = read(folder, number)
            codes.extend(of_shard)
            rows.append(globals_)
        if len(codes) != len(corpus.utterances):
            raise ValueError(f"{folder}: tokens of {len(codes)} utterances, not {len(corpus.utterances)}")
        return cls(codes, np.concatenate(rows))


def file_of(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.npz"


def write(folder: Path, number: int, codes: list[NDArray[np.uint16]], globals_: NDArray[np.uint16]) -> None:
    lengths = np.array([len(row) for row in codes], np.int32)
    partial = folder / f"{number:04}.partial.npz"
    np.savez(partial, codes=np.concatenate(codes), lengths=lengths, globals=globals_)
    partial.replace(file_of(folder, number))


def read(folder: Path, number: int) -> tuple[list[NDArray[np.uint16]], NDArray[np.uint16]]:
    """Codes and global tokens. Raises FileNotFoundError."""
    with np.load(file_of(folder, number)) as arrays:
        return np.split(arrays["codes"], np.cumsum(arrays["lengths"])[:-1]), arrays["globals"]
