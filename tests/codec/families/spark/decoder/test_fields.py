"""What a sample depends on: the frames of its field, all of them, and none beyond."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.codec.families.spark.decoder import SparkDetokenizer

ROOT = Path(__file__).parents[5]
LENGTH, FRAME = 201, 100
NAMES = ["even", "odd", "narrow", "wide", "tiny", "bundled"]


@pytest.fixture(scope="module")
def voices(checkpoints: dict[str, Path]) -> dict[str, Path]:
    return checkpoints | {"tiny": ROOT / "tests/parity/spark-tiny/model", "bundled": ROOT / "models/voxline-small"}


def spoilt(detokenizer: SparkDetokenizer) -> list[int]:
    """The frames that hear FRAME: its code stands for no number, which nothing that depends on it can hide."""
    detokenizer.codebook.codebook.weight[1] = torch.nan
    codes = [0] * LENGTH
    codes[FRAME] = 1
    samples = detokenizer.decode([1] * detokenizer.global_token_count, codes)
    return np.flatnonzero(np.isnan(samples.reshape(LENGTH, -1)).any(1)).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_heard_as_far_as_the_fields_say_and_no_further(name: str, voices: dict[str, Path]) -> None:
    """On torch's operators: the compiled ones multiply some columns beyond by zero, which a NaN shows."""
    detokenizer = SparkDetokenizer.load(voices[name], cache=None)
    expected = range(FRAME - detokenizer.right_field, FRAME + detokenizer.left_field + 1)
    assert spoilt(detokenizer) == list(expected)


@pytest.mark.parametrize("name", NAMES)
def test_with_the_compiled_operations_no_bit_depends_on_what_lies_beyond(name: str, voices: dict[str, Path]) -> None:
    detokenizer = SparkDetokenizer.load(voices[name])
    assert detokenizer.engine == "cpu"
    codes = np.random.default_rng(0).integers(0, detokenizer.codebook_size, LENGTH)
    other = (codes + 1) % detokenizer.codebook_size
    near = np.abs(np.arange(LENGTH) - FRAME) <= detokenizer.left_field
    plain, changed = (
        detokenizer.decode([1] * detokenizer.global_token_count, each).reshape(LENGTH, -1)
        for each in (codes, np.where(near, codes, other))
    )
    assert np.array_equal(plain[FRAME], changed[FRAME])
    assert not np.array_equal(plain[FRAME - 20], changed[FRAME - 20])


def test_the_bundled_voice_depends_on_49_frames_to_either_side(voices: dict[str, Path]) -> None:
    detokenizer = SparkDetokenizer.load(voices["bundled"])
    assert (detokenizer.left_field, detokenizer.right_field) == (49, 49)
