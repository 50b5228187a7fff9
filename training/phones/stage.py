"""Train the ear: which phones were said (CTC), and, to begin with, when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.contents.features import phones_at
from training.corpus.corpus import Corpus
from training.corpus.utterance import SAMPLE_RATE
from training.device import Compute
from training.loop import Figures
from training.noise import noisy
from training.optimiser import MeanWeights, Optimiser
from training.phones.ear import BLANK, PhoneEar

_TIMED_UNTIL = 0.6
_FRAME = SAMPLE_RATE // 50


@dataclass(frozen=True)
class Batch:
    """samples [B, n]; said: phones in a row, and how many of them each utterance has; timed [B, F]; frames [B]."""

    samples: Tensor
    said: Tensor
    counts: Tensor
    timed: Tensor
    frames: Tensor


class Lessons:
    """Endless. seconds: of speech in a batch."""

    def __init__(self, corpus: Corpus, seconds: float, seed: Sequence[int]) -> None:
        self._corpus, self._seconds = corpus, seconds
        self._draws = np.random.default_rng(seed)
        self._sorted = sorted(range(len(corpus.utterances)), key=lambda index: corpus.utterances[index].samples)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            place = int(self._draws.integers(len(self._sorted)))
            longest = self._corpus.utterances[self._sorted[place]].seconds
            yield self._batch(self._sorted[max(0, place + 1 - max(1, int(self._seconds / longest))) : place + 1])

    def _batch(self, indices: list[int]) -> Batch:
        utterances = [self._corpus.utterances[index] for index in indices]
        length = (max(utterance.samples for utterance in utterances) // _FRAME + 1) * _FRAME
        moments = _FRAME // 2 + _FRAME * np.arange(length // _FRAME)
        said = [utterance.phones[utterance.phones[:, 0] != BLANK, 0] for utterance in utterances]
        device = self._corpus.device
        return Batch(
            samples=self._corpus.crops([(index, 0) for index in indices], length),
            said=torch.from_numpy(np.concatenate(said).astype(np.int64)).to(device),
            counts=torch.tensor([len(row) for row in said]),
            timed=torch.from_numpy(np.stack([phones_at(moments, utterance) for utterance in utterances])).to(device),
            frames=torch.tensor([utterance.samples // _FRAME for utterance in utterances]),
        )


class Stage:
    """One call is one step of the optimiser."""

    def __init__(self, ear: PhoneEar, lessons: Iterator[Batch], compute: Compute) -> None:
        self._ear, self._lessons, self._compute = ear, lessons, compute
        self.optimiser = Optimiser([(ear, 1e-3)])
        self.mean = MeanWeights(ear)

    def __call__(self, progress: float) -> Figures:
        batch = next(self._lessons)
        with self._compute.autocast():
            scores = self._ear(noisy(batch.samples))
        logs = scores.float().log_softmax(-1)
        said = F.ctc_loss(logs.transpose(0, 1), batch.said, batch.frames, batch.counts, blank=BLANK, zero_infinity=True)
        timed = F.nll_loss(logs[:, : batch.timed.shape[1]].flatten(0, 1), batch.timed.flatten())
        loss = said + timed if progress < _TIMED_UNTIL else said
        norm = self.optimiser.step(loss, progress)
        self.mean.update()
        return {"said": said, "timed": timed, "norm": norm}
