"""Finite scalar quantisation (Mentzer et al. 2023): each dimension of a latent is rounded to one of a few levels.

Spark uses lucidrains' ResidualFSQ with one stage, whose index counts dimension 0 fastest.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Fsq(nn.Module):
    """[..., latent] -> [...] int64 in [0, product of the levels)."""

    def __init__(self, latent: int, levels: Sequence[int]) -> None:
        super().__init__()
        self.project_in = nn.Linear(latent, len(levels))
        self._levels = tuple(levels)

    def forward(self, latents: Tensor) -> Tensor:
        levels = torch.tensor(self._levels, device=latents.device)
        half = (levels - 1) * (1 + 1e-3) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(self.project_in(latents) + torch.atanh(offset / half)) * half - offset
        digits = bounded.round().long() + levels // 2
        return (digits * (torch.cumprod(levels, 0) // levels)).sum(-1)
