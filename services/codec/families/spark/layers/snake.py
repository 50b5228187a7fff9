"""The periodic activation of the wave generator.

Source: SparkAudio/Spark-TTS, sparktts/modules/blocks/layers.py (after Descript's audio codec).
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import nn

from services.codec.families.spark.layers.cpu.columns import SnakePattern
from services.codec.families.spark.layers.frames import Frames


class Snake(nn.Module):
    """x + sin(alpha x)^2 / alpha, alpha per channel [1, C, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1), requires_grad=False)

    def forward(self, frames: Frames) -> Frames:
        ripple = (frames.x * self.alpha).sin_().square_()
        return frames.to(torch.addcdiv(frames.x, ripple, self.alpha + 1e-9))

    @cached_property
    def pattern(self) -> SnakePattern:
        """Of alpha as it is when this is first asked for."""
        alpha = self.alpha.flatten()
        return SnakePattern(alpha, 1 / (alpha + 1e-9))
