"""How bright a sound is."""

import math

import torch

from training.brightness import log_centroid


def test_a_tone_is_as_bright_as_it_is_high() -> None:
    seconds = torch.arange(16_000) / 16_000
    tones = torch.stack([torch.sin(2 * math.pi * hertz * seconds) for hertz in (500.0, 2000.0)])
    wanted = torch.log(torch.tensor([500.0, 2000.0]) / 8000)
    for loudness in (1.0, 0.01):
        assert torch.allclose(log_centroid(loudness * tones), wanted, atol=0.05)


def test_silence_has_a_gradient() -> None:
    silence = torch.zeros(1, 4000, requires_grad=True)
    torch.autograd.backward(log_centroid(silence).sum())
    assert silence.grad is not None
    assert silence.grad.isfinite().all()
