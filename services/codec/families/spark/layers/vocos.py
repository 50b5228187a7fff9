"""The Vocos backbone: the frame-rate trunk of BiCodec's encoder and prenet.

Source: SparkAudio/Spark-TTS, sparktts/modules/blocks/vocos.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.layers.convolution import Conv1d
from services.codec.families.spark.layers.cpu import Cpu
from services.codec.families.spark.layers.cpu.convolution import Convolution
from services.codec.families.spark.layers.frames import Frames

EPSILON = 1e-6


class Linear(nn.Module):
    """A linear map of the last axis, float32."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(outputs), requires_grad=False)
        self._compiled: Convolution | None = None

    def compile_for(self, cpu: Cpu) -> None:
        """For good."""
        self._compiled = cpu.convolution(self.weight[:, :, None], self.bias)
        self.weight = nn.Parameter(self.weight.new_empty(0), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._compiled.rows(x) if self._compiled else F.linear(x, self.weight, self.bias)


class LayerNorm(nn.Module):
    """Normalise each frame over its channels, [B, F, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(channels), requires_grad=False)

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        assert modulation is None
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, EPSILON)


class AdaLayerNorm(nn.Module):
    """Normalise each frame, then scale and shift it by linear maps of the condition. The scale has no 1 added."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.channels = channels
        self.scale = Linear(condition, channels)
        self.shift = Linear(condition, channels)

    def modulation(self, condition: Tensor) -> Tensor:
        """Condition [B, D] -> scale and shift [B, 2, C]."""
        return torch.stack((self.scale(condition), self.shift(condition)), 1)

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """x [B, F, C], modulation [B, 2, C]."""
        assert modulation is not None
        normal = F.layer_norm(x, (self.channels,), eps=EPSILON)
        return torch.addcmul(modulation[:, 1:], normal, modulation[:, :1])


def _norm(channels: int, condition: int | None) -> LayerNorm | AdaLayerNorm:
    return LayerNorm(channels) if condition is None else AdaLayerNorm(channels, condition)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over 7 frames, then a per-frame network, added to the input."""

    def __init__(self, channels: int, inner: int, condition: int | None) -> None:
        super().__init__()
        self.dwconv = Conv1d(channels, channels, 7, groups=channels)
        self.norm = _norm(channels, condition)
        self.pwconv1 = Linear(channels, inner)
        self.pwconv2 = Linear(inner, channels)
        self.gamma = nn.Parameter(torch.empty(channels), requires_grad=False)

    def forward(self, frames: Frames, modulation: Tensor | None) -> Frames:
        joined: Frames = self.dwconv.window(frames)
        y = self.dwconv.convolve(joined.x)
        residual = joined.x.narrow(2, min(self.dwconv.padding, joined.x.shape[2]), y.shape[2])
        y = self.norm(y.transpose(1, 2), modulation)
        y = self.pwconv2(F.gelu(self.pwconv1(y)))
        return joined.to(torch.addcmul(residual, y.transpose(1, 2), self.gamma[:, None]))


class VocosBackbone(nn.Module):
    """Embed (7 frames), `layers` ConvNeXt blocks, final norm: frames [B, inputs, F] -> frames [B, channels, F].

    Whole mode, which is all that an encoder needs:

        y = backbone(Frames.whole(x, lengths))    # x [B, inputs, F], row b valid up to lengths[b]
        y.x[b, :, :lengths[b]]                    # equals the row computed alone; beyond it: undefined

    `Frames.whole(x)` takes every row as full. The same call on `StateLayout.feed(...).frames(...)` streams.
    With `condition` (its width) every norm but the last is an AdaLayerNorm, and the call takes the `modulation` that
    `modulate(condition)` computed, once per utterance. Each side reaches 3 * (1 + layers) frames.
    """

    def __init__(self, inputs: int, channels: int, inner: int, layers: int, *, condition: int | None = None) -> None:
        super().__init__()
        self.embed = Conv1d(inputs, channels, 7)
        self.norm = _norm(channels, condition)
        self.convnext = nn.ModuleList(ConvNeXtBlock(channels, inner, condition) for _ in range(layers))
        self.final_layer_norm = LayerNorm(channels)

    def modulate(self, condition: Tensor) -> Tensor:
        """Condition [B, D] -> the scales and shifts of every norm [B, 1 + layers, 2, C]; [B, 0] if unconditioned."""
        norms = [self.norm, *(block.norm for block in self.convnext)]
        steps = [norm.modulation(condition) for norm in norms if isinstance(norm, AdaLayerNorm)]
        return torch.stack(steps, 1) if steps else condition[:, :0]

    def forward(self, frames: Frames, modulation: Tensor | None = None) -> Frames:
        steps: Sequence[Tensor | None] = [None] * (1 + len(self.convnext))
        if modulation is not None and modulation.shape[1]:
            steps = modulation.unbind(1)
        frames = self.embed(frames)
        frames = frames.to(self.norm(frames.x.transpose(1, 2), steps[0]).transpose(1, 2))
        for block, step in zip(self.convnext, steps[1:], strict=True):
            frames = block(frames, step)
        return frames.to(self.final_layer_norm(frames.x.transpose(1, 2)).transpose(1, 2))


class SamplingBlock(nn.Module):
    """BiCodec's resampling block at ratio 1: no parameters, the sum of three identical terms.

    Source: SparkAudio/Spark-TTS, sparktts/modules/blocks/samper.py.
    """

    def forward(self, frames: Frames) -> Frames:
        return frames.to(frames.x * 3)


def sampling_stages(stages: int, channels: int, inner: int) -> nn.ModuleList:
    """`downsample`: per ratio a sampling block (index 0) and a two-layer backbone (index 1), to be run in order."""
    return nn.ModuleList(
        nn.ModuleList((SamplingBlock(), VocosBackbone(channels, channels, inner, 2))) for _ in range(stages)
    )


def run_stages(stages: nn.ModuleList, frames: Frames) -> Frames:
    for stage in stages:
        assert isinstance(stage, nn.ModuleList)
        for layer in stage:
            frames = layer(frames)
    return frames
