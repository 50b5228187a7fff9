"""The audio value checks itself and survives the wire."""

import numpy as np
import pytest

from services.runtime.audio import Audio


def test_bytes_round_trip() -> None:
    audio = Audio(np.linspace(-1, 1, 7, dtype=np.float32), 16000)
    again = Audio.from_bytes(audio.to_bytes(), 16000)
    assert np.array_equal(again.samples, audio.samples)
    assert again.seconds == 7 / 16000


@pytest.mark.parametrize("samples", [np.zeros(3), np.zeros((1, 3), np.float32)])
def test_only_mono_float32_is_audio(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="float32"):
        Audio(samples, 16000)


def test_a_part_of_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        Audio.from_bytes(b"123", 16000)
