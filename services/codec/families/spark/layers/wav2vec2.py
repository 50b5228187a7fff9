"""Wav2Vec2 (Baevski et al. 2020) for inference, without the final layer norm of the pre-norm kind.

Modules are named as transformers names their weights, which is how checkpoints store them. They are ours because
importing transformers for them took the tokenizer 5 of its 9 s to start and a third of its memory.
"""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.wav2vec2_config import Wav2Vec2Config


class ConvLayer(nn.Module):
    """Convolution, norm, GELU, [B, C, T]. `norm` is "layer" over channels, "group" over time, or "" for none."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, norm: str, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=bias)
        self._norm = norm
        if norm:
            self.layer_norm = nn.LayerNorm(outputs) if norm == "layer" else nn.GroupNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self._norm == "layer":
            x = self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
        elif self._norm:
            x = self.layer_norm(x)
        return F.gelu(x)


class FeatureExtractor(nn.Module):
    """Waveforms [B, n] -> [B, C, F]."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        sizes = zip((1, *config.conv_dim), config.conv_dim, config.conv_kernel, config.conv_stride, strict=False)
        self.conv_layers = nn.ModuleList(
            ConvLayer(*size, config.norm_of(index), config.conv_bias) for index, size in enumerate(sizes)
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        x = waveforms[:, None]
        for layer in self.conv_layers:
            x = layer(x)
        return x


class FeatureProjection(nn.Module):
    """[B, F, C] -> [B, F, H]."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.conv_dim[-1], eps=config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.layer_norm(x))
        return projected


class PositionConvolution(nn.Module):
    """What each frame's neighbours tell of its place, [B, F, H]. Of an even kernel the last column is dropped."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        kernel = config.num_conv_pos_embeddings
        groups = config.num_conv_pos_embedding_groups
        self.conv = nn.Conv1d(config.hidden_size, config.hidden_size, kernel, padding=kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.conv(x.transpose(1, 2))[:, :, : x.shape[1]]).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self._heads = config.num_attention_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            nn.Linear(config.hidden_size, config.hidden_size) for _ in range(4)
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """mask: bool, broadcast to [B, heads, F, F]; True where a frame may be heard."""
        query, key, value = (
            projection(x).unflatten(2, (self._heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        heard = F.scaled_dot_product_attention(query, key, value, mask)
        mixed: Tensor = self.out_proj(heard.transpose(1, 2).flatten(2))
        return mixed


class FeedForward(nn.Module):
    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.output_dense = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.output_dense(F.gelu(self.intermediate_dense(x)))
        return mapped


class EncoderLayer(nn.Module):
    """Norms come before the attention and the feed-forward ("stable"), or after them."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self._norm_first = config.do_stable_layer_norm
        self.attention = Attention(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self._norm_first:
            x = x + self.attention(self.layer_norm(x), mask)
            y: Tensor = x + self.feed_forward(self.final_layer_norm(x))
        else:
            x = self.layer_norm(x + self.attention(x, mask))
            y = self.final_layer_norm(x + self.feed_forward(x))
        return y


class Encoder(nn.Module):
    def __init__(self, config: Wav2Vec2Config, layers: int) -> None:
        super().__init__()
        self._norm_first = config.do_stable_layer_norm
        self.pos_conv_embed = PositionConvolution(config)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(layers))
        if not self._norm_first:
            self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, valid: Tensor, taps: Container[int]) -> list[Tensor]:
        """x [B, F, H], valid [B, F] -> what the layers numbered in `taps`, from 1, give, [B, F, H] each."""
        x = x.masked_fill(~valid[:, :, None], 0)
        x = x + self.pos_conv_embed(x)
        if not self._norm_first:
            x = self.layer_norm(x)
        mask = None if torch.all(valid) else valid[:, None, None, :]
        tapped: list[Tensor] = []
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x, mask)
            if number in taps:
                tapped.append(x)
        return tapped


class Wav2Vec2(nn.Module):
    """With its first `layers` alone."""

    def __init__(self, config: Wav2Vec2Config, layers: int) -> None:
        super().__init__()
        self.feature_extractor = FeatureExtractor(config)
        self.feature_projection = FeatureProjection(config)
        self.encoder = Encoder(config, layers)
