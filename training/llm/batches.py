"""Examples of about the same length together, as many as fit a number of ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.llm.examples import Example, Examples

# Batches that are drawn at a time, to be sorted by length.
_POOL = 12


@dataclass(frozen=True)
class Batch:
    """ids [B, S], padded at the end. wanted [B, S - 1]: what should follow, -100 where that is not learnt. phones,
    following, characters [B, S - 1]: of the frame that follows, -100 or below zero where none does. text: where the
    text begins.
    """

    ids: Tensor
    wanted: Tensor
    phones: Tensor
    following: Tensor
    characters: Tensor
    text: int

    def pin_memory(self) -> "Batch":
        """As torch's loader asks of what it does not know."""
        return self._each(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> "Batch":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return Batch(
            ids=change(self.ids),
            wanted=change(self.wanted),
            phones=change(self.phones),
            following=change(self.following),
            characters=change(self.characters),
            text=self.text,
        )


class Batches(IterableDataset[Batch]):
    """Endless. size: ids in a batch, padding included."""

    def __init__(self, examples: Examples, pad: int, size: int, seed: Sequence[int]) -> None:
        self._examples, self._pad, self._size, self._seed = examples, pad, size, seed

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        draws = np.random.default_rng([*self._seed, worker.id if worker else 0])
        while True:
            groups = list(self._groups(draws))
            for index in draws.permutation(len(groups)):
                yield collate(groups[index], self._pad)

    def _groups(self, draws: Generator) -> Iterator[list[Example]]:
        pool: list[Example] = []
        while sum(len(example.ids) for example in pool) < _POOL * self._size:
            pool.append(self._examples.draw(draws))
        group: list[Example] = []
        for example in sorted(pool, key=lambda example: len(example.ids)):
            if group and (len(group) + 1) * len(example.ids) > self._size:
                yield group
                group = []
            group.append(example)
        yield group


def collate(examples: Sequence[Example], pad: int) -> Batch:
    ids = _stacked([example.ids for example in examples], pad)
    learnt = _stacked([example.learnt for example in examples], False)
    return Batch(
        ids=ids,
        wanted=torch.where(learnt, ids, -100)[:, 1:],
        phones=_labels([example.phones for example in examples]),
        following=_labels([example.following for example in examples]),
        characters=_stacked([example.characters for example in examples], -1)[:, 1:],
        text=examples[0].text,
    )


def _labels(rows: Sequence[NDArray[np.int64]]) -> Tensor:
    labels = _stacked(rows, -1)[:, 1:]
    return torch.where(labels < 0, -100, labels)


def _stacked(rows: Sequence[NDArray[np.generic]], filler: float) -> Tensor:
    """[B, longest]"""
    stacked = np.full((len(rows), max(map(len, rows))), filler, rows[0].dtype)
    for index, row in enumerate(rows):
        stacked[index, : len(row)] = row
    return torch.from_numpy(stacked)


def loader(batches: Batches, workers: int, *, pinned: bool) -> DataLoader[Batch]:
    """`workers`: processes beside this one; 0 for none."""
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=workers,
        pin_memory=pinned,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
