"""The codebook while it is trained: k-means to begin with, then running means of what each code stands for."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.codec.modules import Quantizer

_DECAY = 0.99
_DEAD = 0.1
"""Of the mean use of a code; below it a code is moved to where latents are."""
_KMEANS_VECTORS, _KMEANS_ROUNDS = 20, 12


class Codebook(nn.Module):
    """Quantises directions; before `begin` it lets them through."""

    uses: Tensor
    sums: Tensor

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        codes, width = quantizer.contents.weight.shape
        self._quantizer = [quantizer]  # In a list: its weights are not this module's to keep.
        self._recent: list[Tensor] = []
        self._begun = False
        self.register_buffer("uses", torch.ones(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    def forward(self, directions: Tensor, *, adapt: bool) -> tuple[Tensor, Tensor, Tensor]:
        """[B, F, W] -> quantised, with straight gradients; codes [B, F]; the commitment loss."""
        quantizer = self._quantizer[0]
        codes = quantizer.nearest(directions.detach())
        if not self._begun:
            self._recent = [*self._recent, directions.detach().flatten(0, 1)][-64:]
            return directions, codes, directions.new_zeros(())
        chosen = F.embedding(codes, quantizer.contents.weight)
        commitment = (directions - chosen).square().sum(-1).mean()
        if adapt and self.training:
            self._adapt(directions.detach().flatten(0, 1), codes.flatten())
        return directions + (chosen - directions).detach(), codes, commitment

    def get_extra_state(self) -> bool:
        return self._begun

    def set_extra_state(self, state: bool) -> None:
        self._begun = state

    @torch.no_grad()
    def begin(self) -> None:
        """Place the codes by k-means on the directions seen last."""
        if self._begun:
            return
        vectors = torch.cat(self._recent)
        codebook = self._quantizer[0].contents.weight
        vectors = vectors[torch.randperm(len(vectors), device=vectors.device)[: _KMEANS_VECTORS * len(codebook)]]
        codebook.copy_(_kmeans(vectors, len(codebook)))
        self.sums.copy_(codebook)
        self.uses.fill_(1.0)
        self._begun, self._recent = True, []

    @torch.no_grad()
    def _adapt(self, vectors: Tensor, codes: Tensor) -> None:
        codebook = self._quantizer[0].contents.weight
        counts = torch.bincount(codes, minlength=len(codebook)).float()
        sums = torch.zeros_like(self.sums).index_add_(0, codes, vectors.float())
        self.uses.lerp_(counts, 1 - _DECAY)
        self.sums.lerp_(sums, 1 - _DECAY)
        dead = (self.uses < _DEAD * self.uses.mean())[:, None]
        others = vectors[torch.randint(len(vectors), (len(codebook),), device=vectors.device)].float()
        mean = self.uses.mean()
        self.uses.copy_(torch.where(dead[:, 0], mean, self.uses))
        self.sums.copy_(torch.where(dead, others * mean, self.sums))
        codebook.copy_(F.normalize(self.sums))


def _kmeans(vectors: Tensor, count: int) -> Tensor:
    """[N, W] of length 1 -> [count, W] of length 1."""
    centres = vectors[torch.randint(len(vectors), (count,), device=vectors.device)].clone()
    for _ in range(_KMEANS_ROUNDS):
        codes = (vectors @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, codes, vectors)
        empty = torch.bincount(codes, minlength=count) == 0
        spare = vectors[torch.randint(len(vectors), (count,), device=vectors.device)]
        centres = F.normalize(torch.where(empty[:, None], spare, sums))
    return centres
