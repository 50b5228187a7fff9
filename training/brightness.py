"""How bright a sound is: the centre of its long-term spectrum."""

import torch
from torch import Tensor

_WINDOW = 1024
MEAN_LOG_CENTROID = -1.8
"""Of voices, roughly."""


def log_centroid(samples: Tensor) -> Tensor:
    """[B, T] -> [B], of the frequency as a share of the highest."""
    spectrum = magnitudes(samples, torch.hann_window(_WINDOW, device=samples.device)).sum(2)
    shares = torch.linspace(0, 1, spectrum.shape[1], device=samples.device)
    return torch.log(spectrum @ shares / spectrum.sum(1))


def magnitudes(samples: Tensor, window: Tensor) -> Tensor:
    """[B, T] -> [B, bins, frames], four to a window."""
    size = len(window)
    spectrum = torch.stft(samples, size, size // 4, window=window, return_complex=True, pad_mode="constant")
    # The magnitude has no gradient at zero.
    return (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
