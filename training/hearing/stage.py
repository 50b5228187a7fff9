"""Training of the tokenizer: which code each frame has."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from training.corpus.phones import PHONES
from training.device import Compute
from training.hearing.clips import Batch
from training.hearing.modules import Heads, Tokenizer
from training.loop import Figures
from training.noise import noisy
from training.optimiser import MeanWeights, Optimiser

_UNHEARD = -100
_LEAST = 1e-7


class Stage:
    """One call is one step of the optimiser."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        heads: Heads,
        owners: Tensor,
        batches: Iterator[Batch],
        compute: Compute,
        rate: float,
    ) -> None:
        """owners: of each content its phone [contents]."""
        self._tokenizer, self._heads, self._batches, self._compute = tokenizer, heads, batches, compute
        self._owners = F.one_hot(owners, len(PHONES)).float().to(compute.device)
        self.optimiser = Optimiser([(tokenizer, rate), (heads, rate)])
        self.mean = MeanWeights(tokenizer)

    def __call__(self, progress: float) -> Figures:
        batch = next(self._batches)
        with self._compute.autocast():
            heard, taps, contents, planes = self._tokenizer(noisy(batch.samples))
            low = _cross_entropy(self._heads.heard(heard), batch.phones)
            middle = _cross_entropy(self._heads.taps(taps), batch.phones)
        likely = (self._heads.sharp.exp() * contents).log_softmax(-1)
        content = _cross_entropy(likely, batch.contents)
        # Another content of the same phone is less wrong than one of another.
        phone = _cross_entropy((likely.exp() @ self._owners + _LEAST).log(), batch.phones)
        plane = _cross_entropy(planes, batch.planes)
        loss = content + phone + plane + 0.3 * middle + 0.1 * low
        norm = self.optimiser.step(loss, progress)
        self.mean.update()
        right, placed = _right(contents, batch.contents), _right(planes, batch.planes)
        figures = {"content": content, "phone": phone, "plane": plane, "low": low, "middle": middle}
        return {**figures, "right": right, "placed": placed, "norm": norm}


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=_UNHEARD)


@torch.no_grad()
def _right(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(-1) == targets)[targets != _UNHEARD].float().mean()
