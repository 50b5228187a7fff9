"""The perceiver resampler (Alayrac et al. 2022, as in lucidrains' code): any number of frames to a few latents."""

from __future__ import annotations

from itertools import count
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.weights import Weights

# Upstream's constant; the number of heads follows from the shapes.
HEAD_WIDTH = 64


class CrossAttention(nn.Module):
    """The latents [B, L, D] look at themselves and at the context [B, F, D]."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, latents: Tensor, context: Tensor) -> Tensor:
        key, value = self.to_kv(torch.cat([latents, context], dim=1)).chunk(2, dim=-1)
        heads = F.scaled_dot_product_attention(_split(self.to_q(latents)), _split(key), _split(value))
        joined: Tensor = self.to_out(heads.transpose(1, 2).flatten(2))
        return joined


class Geglu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        return F.gelu(gate) * value


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        scale: float = x.shape[-1] ** 0.5
        return F.normalize(x, dim=-1) * scale * self.gamma


class Layer(nn.ModuleList):
    """Attention and feed-forward, each added to its input; no norm before either."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        inner, width = weights.shape(f"{prefix}.0.to_q.weight")
        _, hidden = weights.shape(f"{prefix}.1.2.weight")
        feed_forward = nn.Sequential(nn.Linear(width, 2 * hidden), Geglu(), nn.Linear(hidden, width))
        super().__init__([CrossAttention(width, inner), feed_forward])

    def forward(self, latents: Tensor, context: Tensor) -> Tensor:
        attend, feed_forward = self
        seen: Tensor = latents + attend(latents, context)
        return seen + cast(Tensor, feed_forward(seen))


class Perceiver(nn.Module):
    """[B, F, C] -> [B, L, D]; every size is read from the shapes of the weights."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        super().__init__()
        width, channels = weights.shape(f"{prefix}.proj_context.weight")
        self.proj_context = nn.Linear(channels, width)
        self.latents = nn.Parameter(torch.empty(weights.shape(f"{prefix}.latents")))
        depth = next(index for index in count() if f"{prefix}.layers.{index}.0.to_q.weight" not in weights)
        self.layers = nn.ModuleList(Layer(weights, f"{prefix}.layers.{index}") for index in range(depth))
        self.norm = RmsNorm(width)

    def forward(self, frames: Tensor) -> Tensor:
        context = self.proj_context(frames)
        latents = self.latents.expand(len(frames), -1, -1)
        for layer in self.layers:
            latents = layer(latents, context)
        resampled: Tensor = self.norm(latents)
        return resampled


def _split(x: Tensor) -> Tensor:
    """[B, T, heads * 64] -> [B, heads, T, 64]."""
    return x.view(*x.shape[:2], -1, HEAD_WIDTH).transpose(1, 2)
