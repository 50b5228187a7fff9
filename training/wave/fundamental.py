"""The voice's own frequency: spectra say how loud its harmonics are, and this where in their periods they stand.

Without this a decoder takes hours to find out what the planes of the codes are for.
"""

import torch
from torch import Tensor, nn

from training.corpus.utterance import SAMPLE_RATE
from training.frames import FIRST_FRAME, HOP
from training.wave.crops import Crop

_WINDOW = 640
_HARMONICS = 4
_QUIET = 0.3
"""Of the mean amplitude: below it a difference counts less than in proportion."""
_POINTS = 20


class Fundamental(nn.Module):
    """`head` foretells the fundamental from frames, [B, D, F]; it only helps learning."""

    window: Tensor
    points: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.LayerNorm(latent), nn.Linear(latent, _POINTS))
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)
        self.register_buffer("points", (torch.arange(_POINTS) + 0.5) / _POINTS - 0.5, persistent=False)

    def foretold(self, frames: Tensor, crop: Crop) -> Tensor:
        """How much of the fundamental, as a wave of amplitude 1 where there is voice, the frames do not tell."""
        turns = crop.phase[:, :, None] + crop.f0[:, :, None] * self.points * HOP / SAMPLE_RATE
        wanted = torch.cos(2 * torch.pi * turns) * _voiced(crop)[:, :, None]
        found = self.head(frames.transpose(1, 2).float()) * crop.judged[:, ::HOP, None]
        missing: Tensor = (found - wanted).square().sum() / (wanted.square().sum() + 1.0)
        return missing

    def heard(self, made: Tensor, real: Tensor, crop: Crop) -> Tensor:
        """Two waveforms [B, hop * F] -> how far their lowest harmonics are apart as waves, relative to the second."""
        voiced = _voiced(crop) > 0
        times = (torch.arange(_WINDOW, device=made.device) - _WINDOW // 2) / SAMPLE_RATE
        turns = crop.phase[voiced][:, None] + crop.f0[voiced][:, None] * times
        ours, theirs = (self._pieces(samples)[voiced] * self.window for samples in (made, real))
        losses = [_apart(ours, theirs, harmonic * turns) for harmonic in range(1, _HARMONICS + 1)]
        return torch.stack(losses).mean()

    def _pieces(self, samples: Tensor) -> Tensor:
        """[B, F, window]: around what is the middle of a frame to the codes."""
        before = (_WINDOW - FIRST_FRAME) // 2
        padded = nn.functional.pad(samples, (before, _WINDOW - HOP - before))
        return padded.unfold(1, _WINDOW, HOP)


def _voiced(crop: Crop) -> Tensor:
    """[B, F]"""
    return (crop.f0 > 0) * crop.judged[:, ::HOP]


def _apart(ours: Tensor, theirs: Tensor, turns: Tensor) -> Tensor:
    angles = 2 * torch.pi * turns
    waves = torch.stack([angles.cos(), angles.sin()])
    first, second = ((piece * waves).sum(-1) for piece in (ours, theirs))
    sizes = second.square().sum(0).sqrt()
    apart = ((first - second).square().sum(0) + 1e-6).sqrt()
    return (apart / (sizes + _QUIET * sizes.mean() + 1e-3)).mean()
