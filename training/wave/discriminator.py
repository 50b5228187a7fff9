"""Judges of waveforms: small convolutional networks on spectrograms of several resolutions (after UnivNet, 2021)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

_SIZES = (1024, 512, 256)
_SLOPE = 0.1


@dataclass(frozen=True)
class Judged:
    """By one judge: a map of scores, and what its layers saw."""

    scores: Tensor
    features: list[Tensor]


class Judge(nn.Module):
    """Samples [B, T] -> scores over time and frequency."""

    window: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self._size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        shapes = [(2, (1, 1)), (channels, (1, 2)), (channels, (1, 2)), (channels, (1, 2)), (channels, (1, 1))]
        self.layers = nn.ModuleList(
            parametrizations.weight_norm(nn.Conv2d(inputs, channels, (3, 9), stride, (1, 4)))
            for inputs, stride in shapes
        )
        self.last = parametrizations.weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, samples: Tensor) -> Judged:
        with torch.autocast(samples.device.type, enabled=False):
            spectrum = torch.stft(samples.float(), self._size, self._size // 4, window=self.window, return_complex=True)
        # [B, 2, frames, bins], compressed so that quiet parts count.
        x = torch.view_as_real(spectrum).permute(0, 3, 2, 1)
        x = x * (x.square().sum(1, keepdim=True) + 1e-6) ** -0.35
        features: list[Tensor] = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        return Judged(self.last(x), features)


class Discriminator(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.judges = nn.ModuleList(Judge(size, channels) for size in _SIZES)

    def forward(self, samples: Tensor) -> list[Judged]:
        return [judge(samples) for judge in self.judges]


def judge_loss(made: list[Judged], real: list[Judged]) -> Tensor:
    """Hinge: real above 1, made below -1."""
    losses = [
        F.relu(1 - true.scores.float()).mean() + F.relu(1 + false.scores.float()).mean()
        for false, true in zip(made, real, strict=True)
    ]
    return torch.stack(losses).mean()


def maker_losses(made: list[Judged], real: list[Judged]) -> tuple[Tensor, Tensor]:
    """How badly the judges were convinced, and how differently their layers saw the two."""
    convinced = [-judged.scores.float().mean() for judged in made]
    seen = [
        F.l1_loss(first.float(), second.detach().float()) / (second.detach().float().abs().mean() + 1e-4)
        for false, true in zip(made, real, strict=True)
        for first, second in zip(false.features, true.features, strict=True)
    ]
    return torch.stack(convinced).mean(), torch.stack(seen).mean()
