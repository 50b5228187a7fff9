"""Semantic tokens to latents: the look-up half of the factorised vector quantiser."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.config import QuantizerConfig
from services.codec.families.spark.layers.convolution import Conv1d


class Embedding(nn.Module):
    """Rows by index."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width), requires_grad=False)

    def forward(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.weight)


class Codebook(nn.Module):
    """Tokens [B, F] -> latents [B, C, F]. Decoding takes the raw rows; only the search normalises them."""

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.codebook = Embedding(config.codebook_size, config.codebook_dim)
        self.out_project = Conv1d(config.codebook_dim, config.input_dim, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out_project.convolve(self.codebook(tokens).transpose(1, 2))
