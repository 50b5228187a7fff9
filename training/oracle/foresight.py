"""How well codes are foreseen: by a small network from what text tells, the voice, and the codes before.

It knows the times of the phones, which a language model must foresee too; and it learns from little speech, so its
cross-entropy is above what a large model with much speech would reach.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.corpus.kokoro_phones import PHONES
from training.oracle.frames import AROUND, PLACES, Heap
from training.oracle.vocoder import ENVELOPE

BEFORE = 3
"""Codes before the present one that are known."""
_WIDTH, _PHONE, _CODE, _BATCH, _RATE = 256, 24, 48, 256, 1e-3


@dataclass(frozen=True)
class Foreseen:
    """Nats a frame: `usage` of the codes' own frequencies, `entropy` by the network; top1: share of its first guesses
    that are right."""

    usage: float
    entropy: float
    top1: float


class Foresight(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self._phones = nn.Embedding(len(PHONES), _PHONE)
        self._codes = nn.Embedding(count + 1, _CODE)
        width = (1 + 2 * AROUND) * _PHONE + BEFORE * _CODE + PLACES + 1 + ENVELOPE + 1
        self._layers = nn.Sequential(
            *(nn.Linear(width, _WIDTH), nn.GELU(), nn.Dropout(0.2)),
            *(nn.Linear(_WIDTH, _WIDTH), nn.GELU(), nn.Dropout(0.2), nn.Linear(_WIDTH, count)),
        )

    @property
    def none(self) -> int:
        """What stands for a code before the first."""
        return self._count

    def forward(self, around: Tensor, rest: Tensor, before: Tensor) -> Tensor:
        """around [B, 1 + 2 * AROUND], rest [B, .], before [B, BEFORE], the last one first -> logits [B, K]."""
        inputs = [self._phones(around).flatten(1), self._codes(before).flatten(1), rest]
        logits: Tensor = self._layers(torch.cat(inputs, 1))
        return logits


def train(heap: Heap, codes: NDArray[np.int64], count: int, seed: int, passes: int = 8) -> Foresight:
    torch.manual_seed(seed)
    model = Foresight(count)
    around, rest = inputs(heap)
    before, target = history(codes, heap.lengths, model.none), torch.from_numpy(codes)
    optimiser = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=0.05)
    steps = passes * (len(codes) // _BATCH + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2 * _RATE, total_steps=steps)
    for _ in range(passes):
        for rows in torch.split(torch.randperm(len(codes)), _BATCH):
            loss = nn.functional.cross_entropy(model(around[rows], rest[rows], before[rows]), target[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def judge(model: Foresight, heap: Heap, codes: NDArray[np.int64], seen: NDArray[np.int64]) -> Foreseen:
    """codes: of `heap`, unheard in training; seen: those of training."""
    around, rest = inputs(heap)
    logits = model(around, rest, history(codes, heap.lengths, model.none))
    target = torch.from_numpy(codes)
    shares = (np.bincount(seen, minlength=model.none) + 0.5) / (len(seen) + 0.5 * model.none)
    return Foreseen(
        usage=float(-np.log(shares)[codes].mean()),
        entropy=float(nn.functional.cross_entropy(logits, target)),
        top1=float((logits.argmax(1) == target).float().mean()),
    )


@torch.no_grad()
def drawn(model: Foresight, heap: Heap, temperature: float, most: int, seed: int) -> NDArray[np.int64]:
    """Codes for what text tells alone, one drawn after the other among the `most` likeliest."""
    generator = torch.Generator().manual_seed(seed)
    around, rest = inputs(heap)
    codes = torch.zeros(len(around), dtype=torch.long)
    starts = np.cumsum((0, *heap.lengths[:-1]))
    for start, length in zip(starts, heap.lengths, strict=True):
        before = torch.full((1, BEFORE), model.none)
        for index in range(start, start + length):
            values, tokens = model(around[index, None], rest[index, None], before)[0].topk(min(most, model.none))
            choice = torch.multinomial((values / temperature).softmax(0), 1, generator=generator)
            codes[index] = tokens[choice]
            before = torch.cat([codes[index].view(1, 1), before[:, :-1]], 1)
    return codes.numpy()


def inputs(heap: Heap) -> tuple[Tensor, Tensor]:
    """-> around [N, .] and rest [N, .]: places, stress, and the voice's mean sound."""
    places = np.log1p(np.maximum(heap.known.places, 0))
    rest = np.concatenate([places, heap.known.stress[:, None] / 2, heap.means / _SCALE], 1)
    return torch.from_numpy(heap.known.around), torch.from_numpy(rest.astype(np.float32))


def history(codes: NDArray[np.int64], lengths: tuple[int, ...], none: int) -> Tensor:
    """[N, BEFORE], the last one first; none crosses from one utterance to the next."""
    ends = np.cumsum(lengths)[:-1]
    rows = [np.concatenate([np.full(BEFORE, none), part]) for part in np.split(codes, ends)]
    columns = [np.concatenate([row[BEFORE - 1 - back : len(row) - 1 - back] for row in rows]) for back in range(BEFORE)]
    return torch.from_numpy(np.stack(columns, 1))


_SCALE = 4.0
