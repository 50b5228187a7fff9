"""Recordings are not as clean as the teacher."""

import torch
from torch import Tensor

_NOISY, _LEAST_DB, _MOST_DB = 0.3, 15.0, 45.0


def noisy(samples: Tensor) -> Tensor:
    """[B, T]: some rows with noise."""
    return samples + _noise(samples)


@torch.no_grad()
def _noise(samples: Tensor) -> Tensor:
    rows = len(samples), 1
    decibels = torch.empty(rows, device=samples.device).uniform_(_LEAST_DB, _MOST_DB)
    chosen = torch.rand(rows, device=samples.device) < _NOISY
    level = samples.std(1, keepdim=True) * 10 ** (-decibels / 20) * chosen
    return level * torch.randn_like(samples)
