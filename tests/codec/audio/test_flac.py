"""Recordings that are kept."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from services.codec.audio.reference import ReferenceLimits, load_reference

Samples = NDArray[np.float64]
Encode = Callable[[Samples, int, str, str], bytes]
LIMITS = ReferenceLimits()
RATES = [8_000, 22_050, 44_100, 48_000, 96_001]
STEREO = np.random.default_rng(3).uniform(-0.9, 0.9, (60_000, 2))


def wav(samples: Samples, sample_rate: int, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="WAV", subtype=subtype)
    return file.getvalue()


def assert_same_again(data: bytes, sample_rate: int, subtype: str) -> Samples:
    """What is kept, which read again gives the same clip."""
    first = load_reference(data, 16_000, LIMITS, keep=True)
    info = soundfile.info(io.BytesIO(first.flac))
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", subtype, sample_rate, 1)
    again = load_reference(first.flac, 16_000, LIMITS, keep=True)
    np.testing.assert_array_equal(again.clip.samples, first.clip.samples)
    assert again.flac == first.flac
    kept, _ = soundfile.read(io.BytesIO(first.flac))
    return kept


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize(
    ("subtype", "kept_as"),
    [("PCM_U8", "PCM_16"), ("PCM_16", "PCM_16"), ("ULAW", "PCM_16"), ("PCM_24", "PCM_24")],
)
def test_integers_of_up_to_24_bits_are_kept_as_they_came(sample_rate: int, subtype: str, kept_as: str) -> None:
    data = wav(STEREO, sample_rate, subtype)
    left = soundfile.read(io.BytesIO(data))[0][:, 0]
    np.testing.assert_array_equal(assert_same_again(data, sample_rate, kept_as), left)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("subtype", ["PCM_32", "FLOAT", "DOUBLE"])
def test_finer_samples_are_rounded_to_24_bits(sample_rate: int, subtype: str) -> None:
    data = wav(STEREO, sample_rate, subtype)
    left = soundfile.read(io.BytesIO(data))[0][:, 0]
    np.testing.assert_allclose(assert_same_again(data, sample_rate, "PCM_24"), left, rtol=0, atol=2**-24)


@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 48_000])
def test_what_mp3_decodes_to_is_kept(sample_rate: int, encode: Encode) -> None:
    assert_same_again(encode(STEREO[:, 0], sample_rate, "mp3", "libmp3lame"), sample_rate, "PCM_24")


def test_a_recording_louder_than_full_scale_keeps_its_shape() -> None:
    kept = assert_same_again(wav(STEREO * 3, 16_000, "FLOAT"), 16_000, "PCM_24")
    np.testing.assert_allclose(kept, STEREO[:, 0] / np.abs(STEREO[:, 0]).max(), rtol=0, atol=2**-22)


def test_nothing_is_kept_unasked() -> None:
    assert load_reference(wav(STEREO, 16_000, "PCM_16"), 16_000, LIMITS).flac == b""
