"""ECAPA-TDNN (Desplanques et al. 2020, as in wespeaker), as far as its frames go: the pooled vector makes no token."""

from __future__ import annotations

from itertools import count

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.weights import Weights

_DILATIONS = {"layer2": 2, "layer3": 3, "layer4": 4}


class ConvNorm(nn.Module):
    """Convolution, ReLU, batch norm, in that order."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.bn(F.relu(self.conv(x)))
        return normal


class Res2(nn.Module):
    """Channel groups in a row: each is convolved with the result of the one before added; the last passes through."""

    def __init__(self, width: int, scale: int, kernel: int, dilation: int) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation) for _ in range(scale - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(scale - 1))

    def forward(self, x: Tensor) -> Tensor:
        *groups, last = x.chunk(len(self.convs) + 1, dim=1)
        outputs: list[Tensor] = []
        for group, conv, norm in zip(groups, self.convs, self.bns, strict=True):
            joined = group + outputs[-1] if outputs else group
            outputs.append(norm(F.relu(conv(joined))))
        return torch.cat([*outputs, last], dim=1)


class SqueezeExcite(nn.Module):
    """Scale every channel by what the mean over time says."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, bottleneck)
        self.linear2 = nn.Linear(bottleneck, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.linear2(F.relu(self.linear1(x.mean(2)))))
        return x * gate[:, :, None]


class SeRes2Block(nn.Module):
    def __init__(self, channels: int, res2: Res2, bottleneck: int) -> None:
        super().__init__()
        self.se_res2block = nn.Sequential(
            ConvNorm(channels, channels, 1), res2, ConvNorm(channels, channels, 1), SqueezeExcite(channels, bottleneck)
        )

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.se_res2block(x)
        return x + changed


class Ecapa(nn.Module):
    """[B, mels, F] -> [B, C, F]. The widths are in no config: the shapes of the weights tell them."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        super().__init__()
        channels, mels, kernel = weights.shape(f"{prefix}.layer1.conv.weight")
        outputs, joined, _ = weights.shape(f"{prefix}.conv.weight")
        self.layer1 = ConvNorm(mels, channels, kernel)
        for name, dilation in _DILATIONS.items():
            self.add_module(name, _block(weights, f"{prefix}.{name}.se_res2block", channels, dilation))
        self.conv = nn.Conv1d(joined, outputs, 1)

    def forward(self, mel: Tensor) -> Tensor:
        x: Tensor = self.layer1(mel)
        levels: list[Tensor] = []
        for name in _DILATIONS:
            x = self.get_submodule(name)(x)
            levels.append(x)
        return F.relu(self.conv(torch.cat(levels, dim=1)))


def _block(weights: Weights, prefix: str, channels: int, dilation: int) -> SeRes2Block:
    width, _, kernel = weights.shape(f"{prefix}.1.convs.0.weight")
    scale = next(index for index in count(1) if f"{prefix}.1.convs.{index}.weight" not in weights) + 1
    bottleneck, _ = weights.shape(f"{prefix}.3.linear1.weight")
    return SeRes2Block(channels, Res2(width, scale, kernel, dilation), bottleneck)
