"""The wave generator: frames to samples, `rates` multiplied per frame.

Source: SparkAudio/Spark-TTS, sparktts/modules/encoder_decoder/wave_generator.py (after Descript's audio codec).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from services.codec.families.spark.config import GeneratorConfig
from services.codec.families.spark.layers.convolution import Conv1d, ConvTranspose1d, convolutions, reach
from services.codec.families.spark.layers.cpu import Cpu
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.snake import Snake
from services.codec.families.spark.layers.windows import Delay, Joint

DILATIONS = (1, 3, 9)
ENTRY_MARGIN = 2
"""Tokens beyond the audible that the generator takes for good.

Measured on the bundled voice, chunks and look-ahead of 10: margin 0, 2, 4, 10 gave an error of -51.7, -51.1, -46.0,
-21.9 dB at 1.22, 1.17, 1.13, 1.00 times the generator's cost."""


class ResidualUnit(nn.Module):
    """Snake, convolution over 7 frames, Snake, 1x1 convolution, added to the input as it was then."""

    def __init__(self, channels: int, dilation: int, rate: int) -> None:
        super().__init__()
        wide = Conv1d(channels, channels, 7, dilation=dilation, rate=rate)
        self.block = nn.ModuleList((Snake(channels), wide, Snake(channels), Conv1d(channels, channels, 1, rate=rate)))
        self.delay = Delay(channels, wide.padding)

    def forward(self, frames: Frames) -> Frames:
        return self.delay.add(_run(self.block, frames), frames)


class GeneratorBlock(nn.Module):
    """Snake, upsampling that halves the channels, three residual units."""

    def __init__(self, channels: int, kernel: int, stride: int, rate: int) -> None:
        super().__init__()
        half = channels // 2
        upsample = ConvTranspose1d(channels, half, kernel, stride, rate=rate)
        units = (ResidualUnit(half, dilation, upsample.rate) for dilation in DILATIONS)
        self.block = nn.ModuleList((Snake(channels), upsample, *units))

    def forward(self, frames: Frames) -> Frames:
        return _run(self.block, frames)


class WaveGenerator(nn.Module):
    """Frames [B, inputs, F] -> samples in (-1, 1), frames [B, 1, F * hop]; streams give out whole hops.

    `look_ahead`: frames to the right that a hop depends on. Most of that lies in the first convolution and block, at a
    quarter of the cost: up to the waist guessed frames are computed again when better ones are known, behind it every
    column is computed once.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [Conv1d(config.input_channel, config.channels, 7)]
        channels, rate = config.channels, 1
        for kernel, stride in zip(config.kernel_sizes, config.rates, strict=True):
            layers.append(GeneratorBlock(channels, kernel, stride, rate))
            channels, rate = channels // 2, rate * stride
        self.model = nn.ModuleList((*layers, Snake(channels), Conv1d(channels, 1, 7, rate=rate)))
        exact = reach(self)
        self.look_ahead = math.ceil(exact)
        self.entry = Joint(reach=self.look_ahead, margin=ENTRY_MARGIN, rate=1)
        first = config.rates[0]
        behind = int((self.look_ahead - reach(self.model[:2])) * first)
        self.waist = Joint(reach=behind, margin=behind, rate=first)
        self.align = Delay(1, int((self.look_ahead - exact) * rate))
        self.exit = Joint(reach=0, margin=0, rate=rate)

    def compile_for(self, cpu: Cpu) -> None:
        """For good. What becomes samples is float32."""
        *most, last = convolutions(self)
        for layer in most:
            layer.compile_for(cpu)
        assert isinstance(last, Conv1d)
        last.compile_for(cpu, torch.float32)

    def forward(self, frames: Frames) -> Frames:
        frames = _run(self.model[:2], self.entry(frames))
        frames = _run(self.model[2:], self.waist(frames))
        aligned: Frames = self.align(frames)
        audible: Frames = self.exit(aligned.to(aligned.x.tanh()))
        return audible


def _run(layers: Iterable[nn.Module], frames: Frames) -> Frames:
    """A convolution takes the Snake before it along."""
    snake: tuple[Snake, ...] = ()
    for layer in layers:
        if isinstance(layer, Snake):
            snake = (layer,)
        else:
            frames, snake = layer(frames, *snake), ()
    return frames
