"""How far two waveforms are apart for the ear: spectra at several resolutions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.config import MelConfig
from services.codec.families.spark.mel import slaney_filters
from training.brightness import log_centroid, magnitudes
from training.corpus.utterance import SAMPLE_RATE

# Samples of the window, and mel bands (Descript's audio codec has such a ladder).
_MELS = ((2048, 128), (1024, 80), (512, 64), (256, 32), (128, 16), (64, 8))
_LINEAR = (1024, 512, 240)
_LONG_TERM = 1024
_FLOOR = 1e-4
# From here on log centroids no longer count by their squared distance: early on they would drown all else.
_FAR = 0.1


class SpectralLoss(nn.Module):
    """Two waveforms [B, T] -> the mean distances of their log-mel spectra, of their linear ones, and of their long-term
    average spectra, which tell one voice's colour from another's; and half the squared one of their log centroids,
    whose gradient is not lost among those of single bands.
    """

    def __init__(self) -> None:
        super().__init__()
        for size in {size for size, _ in _MELS} | set(_LINEAR):
            self.register_buffer(f"window{size}", torch.hann_window(size), persistent=False)
        for size, mels in _MELS:
            self.register_buffer(f"mel{size}", slaney_filters(_config(size, mels)), persistent=False)

    def forward(self, made: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mel = [self._mel(made, wanted, size) for size, _ in _MELS]
        linear = [self._linear(made, wanted, size) for size in _LINEAR]
        brightness = F.huber_loss(log_centroid(made), log_centroid(wanted), delta=_FAR)
        return torch.stack(mel).mean(), torch.stack(linear).mean(), self._long_term(made, wanted), brightness

    def _mel(self, made: Tensor, wanted: Tensor, size: int) -> Tensor:
        filters = self.get_buffer(f"mel{size}")
        return F.l1_loss(_log(filters @ self._magnitudes(made, size)), _log(filters @ self._magnitudes(wanted, size)))

    def _linear(self, made: Tensor, wanted: Tensor, size: int) -> Tensor:
        first, second = self._magnitudes(made, size), self._magnitudes(wanted, size)
        convergence = (second - first).square().sum((1, 2)).sqrt() / (second.square().sum((1, 2)).sqrt() + 1e-3)
        return F.l1_loss(_log(first), _log(second)) + convergence.mean()

    def _long_term(self, made: Tensor, wanted: Tensor) -> Tensor:
        filters = self.get_buffer(f"mel{_LONG_TERM}")
        first, second = ((filters @ self._magnitudes(each, _LONG_TERM)).mean(2) for each in (made, wanted))
        return F.l1_loss(_log(first), _log(second))

    def _magnitudes(self, samples: Tensor, size: int) -> Tensor:
        return magnitudes(samples, self.get_buffer(f"window{size}"))


def _log(magnitudes: Tensor) -> Tensor:
    return torch.log(magnitudes + _FLOOR)


def _config(size: int, mels: int) -> MelConfig:
    return MelConfig(
        sample_rate=SAMPLE_RATE,
        n_fft=size,
        win_length=size,
        hop_length=size // 4,
        mel_fmin=0.0,
        mel_fmax=None,
        num_mels=mels,
    )
