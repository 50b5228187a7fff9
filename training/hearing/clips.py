"""Batches for the tokenizer: pieces of recordings and what is to be heard in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.codec.phases import planes_at
from training.contents.features import moments_of, phones_at
from training.corpus.corpus import Corpus
from training.corpus.utterance import SAMPLE_RATE
from training.frames import FIRST_FRAME, HOP

# Lengths of pieces in seconds: attention must work at all of them.
_SECONDS = (1.6, 2.4, 2.4, 3.2, 4.8)


@dataclass(frozen=True)
class Batch:
    """samples [B, T]; contents, planes, phones [B, F], -100 behind the end of an utterance."""

    samples: Tensor
    contents: Tensor
    planes: Tensor
    phones: Tensor


class Clips:
    """Endless. contents: of each utterance [F]; seconds: of speech in a batch."""

    def __init__(
        self, corpus: Corpus, contents: Sequence[NDArray[np.uint16]], seconds: float, seed: Sequence[int]
    ) -> None:
        self._corpus, self._contents, self._seconds = corpus, contents, seconds
        self._draws = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self._batch(float(self._draws.choice(_SECONDS)))

    def _batch(self, seconds: float) -> Batch:
        frames = int(seconds * SAMPLE_RATE) // HOP
        indices = self._draws.integers(len(self._contents), size=max(2, round(self._seconds / seconds)))
        starts = [int(self._draws.integers(max(1, len(self._contents[index]) - frames + 1))) for index in indices]
        places = [(int(index), start) for index, start in zip(indices, starts, strict=True)]
        labels = np.stack([self._labels(index, start, frames) for index, start in places])
        contents, planes, phones = torch.from_numpy(labels).to(self._corpus.device).unbind(1)
        crops = [(index, HOP * start) for index, start in places]
        return Batch(self._corpus.crops(crops, HOP * frames + FIRST_FRAME - HOP), contents, planes, phones)

    def _labels(self, index: int, start: int, frames: int) -> NDArray[np.int64]:
        """[3, frames]"""
        contents = self._contents[index][start : start + frames].astype(np.int64)
        moments = moments_of(len(contents), start)
        planes = planes_at(moments, self._corpus.pitches[index])
        phones = phones_at(moments, self._corpus.utterances[index])
        labels = np.full((3, frames), -100)
        labels[:, : len(contents)] = contents, planes, phones
        return labels
