import math

import pytest
import torch

from services.codec.families.spark.config import MelConfig
from services.codec.families.spark.mel import MelSpectrogram, slaney_filters


def config(**changes: float | None) -> MelConfig:
    sizes = {"sample_rate": 16_000, "n_fft": 1024, "win_length": 640, "hop_length": 320, "num_mels": 40}
    return MelConfig.model_validate({**sizes, "mel_fmin": 10.0, "mel_fmax": None, **changes})


@pytest.mark.parametrize("changes", [{}, {"n_fft": 2048, "num_mels": 20}, {"sample_rate": 24_000, "mel_fmax": 9_000.0}])
def test_every_triangle_has_the_same_area(changes: dict[str, float]) -> None:
    """Slaney's norm, up to what sampling a triangle at the bins of the transform loses."""
    sizes = config(**changes)
    areas = slaney_filters(sizes)[10:].sum(1) * sizes.sample_rate / sizes.n_fft
    torch.testing.assert_close(areas, torch.ones_like(areas), rtol=0.06, atol=0)


def test_no_filter_reaches_beyond_the_range() -> None:
    filters = slaney_filters(config(mel_fmin=500.0, mel_fmax=4_000.0))
    hertz = torch.linspace(0, 8_000, 513)
    assert filters[:, (hertz < 500) | (hertz > 4_000)].abs().max() == 0
    assert filters[:, (hertz > 520) & (hertz < 3_900)].sum(0).min() > 0


@pytest.mark.parametrize("hertz", [300.0, 1_000.0, 4_000.0])
def test_a_tone_is_loudest_in_its_own_band(hertz: float) -> None:
    sizes = config()
    tone = torch.sin(2 * math.pi * hertz * torch.arange(16_000) / 16_000)
    mel = MelSpectrogram(sizes)(tone[None])
    assert mel.shape == (1, 40, 51)
    band = int(mel[0, :, 25].argmax())
    # The bands are even on the mel scale, 15 mel at 1 kHz and log(6.4) / 27 a mel above it.
    top, bottom = 15 + math.log(8) / (math.log(6.4) / 27), 10 * 3 / 200
    mels = hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) / (math.log(6.4) / 27)
    assert band == pytest.approx((mels - bottom) / (top - bottom) * 41 - 1, abs=0.6)


def test_loudness_is_linear() -> None:
    samples = torch.randn(1, 4_000, generator=torch.Generator().manual_seed(0))
    mel = MelSpectrogram(config())
    torch.testing.assert_close(mel(3 * samples), 3 * mel(samples))
