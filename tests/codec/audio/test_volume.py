import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.codec.audio.volume import normalise_volume

NOISE = np.random.default_rng(3).uniform(-1, 1, 16_000)


def loudness(levels: np.ndarray) -> float:
    audible = np.sort(np.abs(levels))
    audible = audible[audible > 0.01]
    return float(np.mean(audible[int(0.9 * len(audible)) : int(0.99 * len(audible))]))


@pytest.mark.parametrize("gain", [0.11, 0.5, 1.0])
def test_clips_of_any_ordinary_level_end_at_the_same_loudness(gain: float) -> None:
    assert loudness(normalise_volume(NOISE * gain)) == pytest.approx(0.2, rel=0.01)


def test_both_gains_of_a_quiet_clip_multiply() -> None:
    quiet = NOISE * 0.05
    peak = np.max(np.abs(quiet))
    np.testing.assert_allclose(normalise_volume(quiet), quiet * (0.1 / peak) * (0.2 / loudness(quiet)))


def test_a_clip_without_audible_samples_is_only_lifted() -> None:
    assert np.max(np.abs(normalise_volume(NOISE * 0.005))) == pytest.approx(0.1)
    assert np.max(np.abs(normalise_volume(NOISE * 1e-4))) < 0.011


@given(st.floats(1, 1e6), st.integers(100, 500), st.integers(0, 2**32 - 1))
def test_no_audible_clip_leaves_the_range(gain: float, count: int, seed: int) -> None:
    spiky = np.random.default_rng(seed).standard_normal(count) ** 5 * gain
    assert np.max(np.abs(normalise_volume(spiky))) <= 1
