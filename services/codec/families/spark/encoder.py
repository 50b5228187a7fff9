"""The semantic branch behind wav2vec2: features to latents, one per token."""

from __future__ import annotations

from torch import nn

from services.codec.families.spark.config import VocosConfig
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.vocos import Linear, VocosBackbone, run_stages, sampling_stages

PREFIX = "encoder"


class Encoder(nn.Module):
    """Whole utterances, frames [B, features, F] -> frames [B, latent, F]."""

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        channels, inner = config.vocos_dim, config.vocos_intermediate_dim
        self.encoder = VocosBackbone(config.input_channels, channels, inner, config.vocos_num_layers)
        self.downsample = sampling_stages(len(config.sample_ratios), channels, inner)
        self.project = Linear(channels, config.out_channels)

    def forward(self, features: Frames) -> Frames:
        frames = run_stages(self.downsample, self.encoder(features))
        return frames.to(self.project(frames.x.transpose(1, 2)).transpose(1, 2))
