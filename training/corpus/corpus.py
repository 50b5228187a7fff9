"""The corpus in memory: utterances by voice and by group, and pieces of their samples on the device."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.corpus import shards
from training.corpus.pitch import Pitch
from training.corpus.utterance import Utterance


class Corpus:
    """One part of the corpus, as far as it is made; `refresh` takes up what has been made since.

    On a GPU all samples live there; on the CPU they are mapped.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self.device = folder, device
        self._shards: dict[int, Tensor] = {}
        self.utterances: list[Utterance] = []
        self.pitches: list[Pitch] = []
        self.by_voice: dict[str, list[int]] = defaultdict(list)
        self.by_group: dict[int, list[int]] = defaultdict(list)
        self.refresh()

    def refresh(self) -> None:
        for number in shards.finished(self._folder):
            if number not in self._shards:
                self._add(number)
        if not self.utterances:
            raise FileNotFoundError(f"{self._folder}: no speech; run training.corpus first")

    @property
    def seconds(self) -> float:
        return sum(utterance.seconds for utterance in self.utterances)

    def crops(self, places: Sequence[tuple[int, int]], length: int) -> Tensor:
        """places: utterance and first sample -> [B, length] float32 on the device, silence beyond the ends."""
        crops = torch.zeros(len(places), length, device=self.device)
        for row, (index, start) in enumerate(places):
            utterance = self.utterances[index]
            first, last = max(start, 0), min(start + length, utterance.samples)
            if first < last:
                piece = self._shards[utterance.shard][utterance.offset + first : utterance.offset + last]
                crops[row, first - start : last - start] = piece
        return crops.div_(shards.FULL_SCALE)

    def samples(self, index: int) -> Tensor:
        """[n] float32: a whole utterance."""
        return self.crops([(index, 0)], self.utterances[index].samples)[0]

    def _add(self, number: int) -> None:
        # Copy-on-write: torch takes no array that it must not write to.
        mapped = torch.from_numpy(np.asarray(shards.samples(self._folder, number)))
        self._shards[number] = mapped.to(self.device)
        self.pitches.extend(shards.pitches(self._folder, number))
        for utterance in shards.read(self._folder, number):
            index = len(self.utterances)
            self.utterances.append(utterance)
            self.by_voice[utterance.voice].append(index)
            self.by_group[utterance.group].append(index)
