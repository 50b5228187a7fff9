"""The mel spectrogram that the speaker encoder reads: magnitude, no logarithm (torchaudio's, at power 1)."""

import math

import torch
from torch import Tensor, nn

from services.codec.families.spark.config import MelConfig

# Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz, then 27 steps to 6.4 kHz.
_LINEAR_HZ = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = math.log(6.4) / 27


class MelSpectrogram(nn.Module):
    """[B, n] samples -> [B, mels, 1 + n // hop]."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.n_fft, self.hop = config.n_fft, config.hop_length
        window = torch.hann_window(config.win_length)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", slaney_filters(config), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        spectrum = torch.stft(
            samples, self.n_fft, self.hop, len(self.window), self.window, pad_mode="reflect", return_complex=True
        )
        return self.filters @ spectrum.abs()


def slaney_filters(config: MelConfig) -> Tensor:
    """[mels, n_fft // 2 + 1] float32: triangles of equal area."""
    top = config.mel_fmax if config.mel_fmax is not None else config.sample_rate / 2
    edges = _hz(torch.linspace(_mel(config.mel_fmin), _mel(top), config.num_mels + 2, dtype=torch.float64))
    bins = torch.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1, dtype=torch.float64)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * 2 / (high - low)).float()


def _mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ
    return _BREAK_MEL + math.log(hz / _BREAK_HZ) / _LOG_STEP


def _hz(mel: Tensor) -> Tensor:
    return torch.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, _BREAK_HZ * torch.exp((mel - _BREAK_MEL) * _LOG_STEP))
