"""The prenet: semantic latents to the wave generator's input, at the frame rate, coloured by the speaker.

Source: SparkAudio/Spark-TTS, sparktts/modules/encoder_decoder/feat_decoder.py.
"""

from __future__ import annotations

from torch import Tensor, nn

from services.codec.families.spark.config import PrenetConfig
from services.codec.families.spark.layers.convolution import convolutions
from services.codec.families.spark.layers.cpu import Cpu
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.vocos import ConvNeXtBlock, Linear, VocosBackbone, run_stages, sampling_stages


class Prenet(nn.Module):
    """Frames [B, inputs, F] -> frames [B, outputs, F]."""

    def __init__(self, config: PrenetConfig) -> None:
        super().__init__()
        width, inner = config.vocos_dim, config.vocos_intermediate_dim
        self.linear_pre = Linear(config.input_channels, width)
        self.downsample = sampling_stages(len(config.sample_ratios), width, inner)
        self.vocos_backbone = VocosBackbone(
            width, width, inner, config.vocos_num_layers, condition=config.condition_dim
        )
        self.linear = Linear(width, config.out_channels)
        self.use_tanh = config.use_tanh_at_final

    def modulate(self, d_vectors: Tensor) -> Tensor:
        """d-vectors [B, D] -> what `forward` takes, once per utterance; empty if the prenet is not conditioned."""
        return self.vocos_backbone.modulate(d_vectors)

    def compile_for(self, cpu: Cpu) -> None:
        """For good, all that `forward` takes."""
        for layer in convolutions(self):
            layer.compile_for(cpu)
        for block in self.modules():
            if isinstance(block, ConvNeXtBlock):
                block.pwconv1.compile_for(cpu)
                block.pwconv2.compile_for(cpu)
        self.linear_pre.compile_for(cpu)
        self.linear.compile_for(cpu)

    def forward(self, frames: Frames, modulation: Tensor) -> Frames:
        frames = frames.to(self.linear_pre(frames.x.transpose(1, 2)).transpose(1, 2))
        frames = self.vocos_backbone(run_stages(self.downsample, frames), modulation)
        y = self.linear(frames.x.transpose(1, 2)).transpose(1, 2)
        return frames.to(y.tanh() if self.use_tanh else y)
