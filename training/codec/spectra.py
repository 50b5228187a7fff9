"""What the first stage is to predict of speech: its spectra, frame by frame."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from services.codec.families.spark.config import MelConfig
from services.codec.families.spark.mel import slaney_filters
from training.corpus.utterance import SAMPLE_RATE
from training.frames import FIRST_FRAME, HOP

_COARSE, _FINE = 1024, 512
MELS, _LOW_BINS, _FINE_MELS = 80, 80, 64
FLOOR = 1e-3
MEAN = -5.0
"""Of the logarithms, roughly."""


class Spectra(nn.Module):
    """Samples [B, T] -> logarithms of magnitudes, centred on wav2vec2's frames.

    coarse [B, F, 160]: 80 mel bands, and the 80 lowest bins up to 1250 Hz, where the pitch shows. fine [B, F, 128]: 64
    mel bands, twice a frame.
    """

    coarse_width, fine_width = MELS + _LOW_BINS, 2 * _FINE_MELS
    mel: Tensor
    fine_mel: Tensor
    window: Tensor
    long_window: Tensor
    fine_window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mel", slaney_filters(_mel(_COARSE, MELS)), persistent=False)
        self.register_buffer("fine_mel", slaney_filters(_mel(_FINE, _FINE_MELS)), persistent=False)
        self.register_buffer("window", F.pad(torch.hann_window(640), (192, 192)), persistent=False)
        self.register_buffer("long_window", torch.hann_window(_COARSE), persistent=False)
        self.register_buffer("fine_window", F.pad(torch.hann_window(400), (56, 56)), persistent=False)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad(), torch.autocast(samples.device.type, enabled=False):
            return self._spectra(samples)

    def _spectra(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        frames = 1 + (samples.shape[1] - FIRST_FRAME) // HOP
        coarse = torch.cat((self._coarse(samples, self.window, self.mel), self._low(samples)), 1)[:, :, :frames]
        fine = self.fine_mel @ _magnitudes(samples, self.fine_window, HOP // 2, FIRST_FRAME // 2 - HOP // 4)
        fine = fine[:, :, : 2 * frames].reshape(*fine.shape[:2], frames, 2).transpose(2, 3).flatten(1, 2)
        return _log(coarse).transpose(1, 2), _log(fine).transpose(1, 2)

    def _coarse(self, samples: Tensor, window: Tensor, mel: Tensor) -> Tensor:
        return mel @ _magnitudes(samples, window, HOP, FIRST_FRAME // 2)

    def _low(self, samples: Tensor) -> Tensor:
        """Scaled to about the level of the mel bands."""
        return _magnitudes(samples, self.long_window, HOP, FIRST_FRAME // 2)[:, :_LOW_BINS] * 0.02


def _magnitudes(samples: Tensor, window: Tensor, hop: int, centre: int) -> Tensor:
    """[B, T] -> [B, bins, frames]; the first frame is centred on sample `centre`."""
    half = len(window) // 2
    padded = F.pad(samples, (half - centre, half + hop))
    return torch.stft(padded, len(window), hop, window=window, center=False, return_complex=True).abs()


def _log(magnitudes: Tensor) -> Tensor:
    return torch.log(magnitudes + FLOOR)


def _mel(n_fft: int, mels: int) -> MelConfig:
    return MelConfig(
        sample_rate=SAMPLE_RATE,
        n_fft=n_fft,
        win_length=n_fft,
        hop_length=HOP,
        mel_fmin=10.0,
        mel_fmax=None,
        num_mels=mels,
    )
