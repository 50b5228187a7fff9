"""The detokenizer against recorded outputs of the reference implementation; see tests/parity/spark-tiny/README.md."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.codec.families.spark.decoder import SparkDetokenizer
from services.contract.families.spark import SparkSpeaker

TINY = Path(__file__).parent / "spark-tiny"
WAVES = {f"random{index}": "wav" for index in range(4)} | dict.fromkeys(
    ("main", "stereo44k", "quiet8k", "long16k"), "wav_recon"
)


@pytest.fixture(scope="module")
def expected() -> Mapping[str, NDArray[Any]]:
    with np.load(TINY / "expected.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def detokenizer() -> SparkDetokenizer:
    return SparkDetokenizer.load(TINY / "model", precision="f32")


def tokens(expected: Mapping[str, NDArray[Any]], case: str) -> tuple[list[int], list[int]]:
    return expected[f"{case}/global_tokens"].tolist(), expected[f"{case}/semantic_tokens"].tolist()


@pytest.mark.parametrize("case", WAVES)
def test_the_waveform_is_the_references(
    detokenizer: SparkDetokenizer, expected: Mapping[str, NDArray[Any]], case: str
) -> None:
    wave = detokenizer.decode(*tokens(expected, case))
    np.testing.assert_allclose(wave, expected[f"{case}/{WAVES[case]}"], rtol=0, atol=1e-4)


def test_the_streamed_waveform_is_the_references(
    detokenizer: SparkDetokenizer, expected: Mapping[str, NDArray[Any]]
) -> None:
    """All eight utterances in one batch, ten tokens a step."""
    spoken = {case: tokens(expected, case) for case in WAVES}
    streams = {case: detokenizer.open(SparkSpeaker(tuple(speaker)).speaker()) for case, (speaker, _) in spoken.items()}
    heard: dict[str, list[NDArray[np.float32]]] = {case: [] for case in WAVES}
    for start in range(0, 360, 10):
        going = [case for case, (_, codes) in spoken.items() if start < len(codes)]
        items = [
            (streams[case], spoken[case][1][start : start + 10], start + 10 >= len(spoken[case][1])) for case in going
        ]
        for case, samples in zip(going, detokenizer.step(items), strict=True):
            heard[case].append(samples)
    for case, wave in WAVES.items():
        np.testing.assert_allclose(np.concatenate(heard[case]), expected[f"{case}/{wave}"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", ["main", "stereo44k", "quiet8k", "long16k"])
def test_the_d_vector_is_the_references(
    detokenizer: SparkDetokenizer, expected: Mapping[str, NDArray[Any]], case: str
) -> None:
    d_vector = detokenizer.open(SparkSpeaker(tuple(tokens(expected, case)[0])).speaker()).d_vector
    np.testing.assert_allclose(d_vector.numpy(), expected[f"{case}/d_vector"], rtol=0, atol=1e-5)


def test_the_latents_of_the_codes_are_the_references(
    detokenizer: SparkDetokenizer, expected: Mapping[str, NDArray[Any]]
) -> None:
    latents = detokenizer.codebook(torch.tensor(tokens(expected, "main")[1])[None])[0]
    np.testing.assert_allclose(latents.numpy(), expected["main/z_q"], rtol=0, atol=1e-5)
