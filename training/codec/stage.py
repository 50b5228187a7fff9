"""The first stage: what the frame-rate half of the decoder and the speaker encoder learn from spectra."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from training.brightness import log_centroid
from training.codec.batches import MARGIN, Batch
from training.codec.heads import Heads
from training.codec.modules import Codec, Heard
from training.codec.spectra import Spectra
from training.device import Compute
from training.loop import Figures
from training.noise import noisy
from training.optimiser import Optimiser

# In which the cosines of d-vectors are compared.
_TEMPERATURE = 0.1
# Deviation of the log centroids, roughly.
_BRIGHTNESSES = 0.4
# The speaker encoder has no norms to hold it.
_SLOW = 0.4


class FirstStage:
    """One call is one step of the optimiser."""

    def __init__(self, codec: Codec, heads: Heads, batches: Iterator[Batch], compute: Compute, rate: float) -> None:
        self._codec, self._heads, self._batches, self._compute = codec, heads, batches, compute
        self._spectra = Spectra().to(compute.device)
        rates = [(part, _SLOW * rate if part is codec.speaker_encoder else rate) for part in codec.children()]
        self.optimiser = Optimiser([*rates, (heads, rate)])

    def __call__(self, progress: float) -> Figures:
        batch = next(self._batches)
        with self._compute.autocast():
            heard: Heard = self._codec.speaker_encoder(noisy(batch.reference))
            frames = self._codec(batch.contents, batch.planes, heard.d_vector[: len(batch.contents)])
            losses = self._losses(batch, frames.transpose(1, 2), heard)
        loss = losses["mel"] + losses["fine"] + 2 * losses["spread"] + losses["excess"]
        loss = loss + 0.7 * losses["traits"] + 0.25 * losses["told"] + 0.1 * losses["same"]
        loss = loss + 4 * losses["brightness"]
        norm = self.optimiser.step(loss, progress)
        return {**losses, "norm": norm, **_facts(heard)}

    def _losses(self, batch: Batch, frames: Tensor, heard: Heard) -> dict[str, Tensor]:
        coarse, fine = (_judged(spectra) for spectra in self._spectra(batch.samples))
        found = _judged(self._heads.frames(frames).float())
        mel, refined = torch.split(found, [coarse.shape[2], fine.shape[2]], dim=2)
        return {
            "mel": F.l1_loss(mel, coarse),
            "fine": F.l1_loss(refined, fine),
            "traits": F.mse_loss(self._heads.traits(heard.d_vector).float(), batch.traits),
            "brightness": self._brightness(heard.d_vector, batch.reference),
            "told": _told(heard.d_vector.float()),
            "same": F.mse_loss(heard.bounded[0::2], heard.bounded[1::2]),
            "excess": heard.excess,
            "spread": _spread(heard.bounded, 0.4),
        }

    def _brightness(self, d_vectors: Tensor, references: Tensor) -> Tensor:
        """Of these clips, not of their voices: a clone should be as bright as its reference."""
        found = self._heads.brightness(d_vectors).squeeze(1).float()
        with torch.no_grad(), torch.autocast(references.device.type, enabled=False):
            wanted = log_centroid(references)
        return F.mse_loss(found, wanted) / _BRIGHTNESSES**2


def _judged(frames: Tensor) -> Tensor:
    """[B, F, C] without the margins."""
    return frames[:, MARGIN:-MARGIN]


def _told(d_vectors: Tensor) -> Tensor:
    """Cross-entropy of telling which of the other clips has the same voice; those of one voice are side by side."""
    directions = F.normalize(d_vectors - d_vectors.mean(0).detach(), dim=1)
    mates = torch.arange(len(directions), device=directions.device) ^ 1
    itself = torch.eye(len(directions), dtype=torch.bool, device=directions.device)
    return F.cross_entropy((directions @ directions.T / _TEMPERATURE).masked_fill(itself, -torch.inf), mates)


def _spread(values: Tensor, wanted: float) -> Tensor:
    """How far the deviations over axis 0 are below `wanted`: keeps global tokens from collapsing."""
    return F.relu(wanted - (values.float().var(0) + 1e-6).sqrt()).mean()


@torch.no_grad()
def _facts(heard: Heard) -> dict[str, Tensor]:
    """agree: of the digits of global tokens, between two clips of one voice, and differ: between clips of (mostly)
    different voices."""
    digits = (heard.bounded * 2).round()
    return {
        "agree": (digits[0::2] == digits[1::2]).float().mean(),
        "differ": (digits[0::2] != digits[0::2].roll(1, 0)).float().mean(),
    }
