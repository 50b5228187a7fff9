"""Global tokens to the d-vector, the speaker condition of the decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from services.codec.families.spark.config import SpeakerConfig
from services.codec.families.spark.layers.vocos import Linear


class LevelCodebook(nn.Module):
    """The look-up half of finite scalar quantisation: an index is a number in mixed radix, dimension 0 fastest.

    Indices [..., N] -> latents [..., N, latent].
    """

    def __init__(self, levels: Sequence[int], latent: int) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.project_out = Linear(len(levels), latent)

    def forward(self, indices: Tensor) -> Tensor:
        digits = []
        for level in self.levels:
            digits.append((indices % level - level // 2) / (level // 2))
            indices = indices // level
        latents: Tensor = self.project_out(torch.stack(digits, -1).to(torch.float32))
        return latents


class SpeakerDecoder(nn.Module):
    """Global tokens [B, N] -> d-vectors [B, D]."""

    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__()
        self.quantizer = LevelCodebook(config.fsq_levels, config.latent_dim)
        self.project = Linear(config.latent_dim * config.token_num, config.out_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """The latents are flattened channel-major, [B, latent, N]."""
        d_vectors: Tensor = self.project(self.quantizer(tokens).transpose(1, 2).flatten(1))
        return d_vectors
