import io

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from services.codec.audio.reference import ReferenceLimits, load_reference, reference_clip
from services.runtime.errors import InvalidRequest, TooLarge, VoxlineError

LIMITS = ReferenceLimits()
NOISE = np.random.default_rng(3).uniform(-0.5, 0.5, 32_000)


def wav(samples: NDArray[np.float64], sample_rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="WAV", subtype="DOUBLE")
    return file.getvalue()


def with_sample(value: float) -> NDArray[np.float64]:
    samples = NOISE.copy()
    samples[100:102] = value
    return samples


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_a_recording_comes_at_the_rate_asked_for(sample_rate: int) -> None:
    recording = load_reference(wav(NOISE, sample_rate), 16_000, LIMITS).clip
    assert recording.sample_rate == 16_000
    assert recording.seconds == pytest.approx(len(NOISE) / sample_rate, abs=1e-4)


def test_audio_at_the_right_rate_is_left_alone() -> None:
    np.testing.assert_allclose(load_reference(wav(NOISE), 16_000, LIMITS).clip.samples, NOISE, rtol=0, atol=2**-24)


@pytest.mark.parametrize(
    ("value", "sample_rate"),
    [(np.nan, 16_000), (np.inf, 16_000), (np.nan, 22_050), (-np.inf, 22_050)],
)
def test_samples_that_are_no_finite_numbers_are_invalid(value: float, sample_rate: int) -> None:
    with pytest.raises(InvalidRequest, match="finite"):
        load_reference(wav(with_sample(value), sample_rate), 16_000, LIMITS)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (wav(NOISE[:7_999]), InvalidRequest, "0.50 s long, at least 0.5 s"),
        (wav(NOISE * 1.9e-3), InvalidRequest, "silent: every sample is below -60 dBFS"),
        (wav(NOISE * 0), InvalidRequest, "silent"),
        (wav(np.tile(NOISE, 31)), TooLarge, "longer than 60 s"),
        (bytes(32 * 2**20 + 1), TooLarge, "33554433 bytes, 33554432 are allowed"),
        (b"", InvalidRequest, "no known format"),
    ],
)
def test_unusable_audio_names_its_field_and_the_limit(data: bytes, error: type[VoxlineError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        load_reference(data, 16_000, LIMITS)
    assert caught.value.field == "audio"


def test_the_quietest_clip_that_counts_is_just_above_the_floor() -> None:
    assert load_reference(wav(NOISE * 2.1e-3), 16_000, LIMITS).clip.seconds == 2


@pytest.mark.parametrize("limits", [(1, 0.0, 1.0), (1, 2.0, 1.0), (0, 0.5, 1.0)])
def test_limits_that_let_nothing_through_are_refused(limits: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match=r"must be positive|min_seconds"):
        ReferenceLimits(*limits)


def test_a_short_clip_repeats_and_a_long_one_is_cut() -> None:
    np.testing.assert_array_equal(reference_clip(np.arange(3.0), 7), [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(reference_clip(np.arange(9.0), 4), [0, 1, 2, 3])
