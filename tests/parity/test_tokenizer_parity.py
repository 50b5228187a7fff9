"""The tokenizer against recorded outputs of the reference implementation; see tests/parity/spark-tiny/README.md."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.codec.audio.reference import ReferenceLimits, load_reference
from services.codec.audio.volume import normalise_volume
from services.codec.families.spark.layers.speaker import SpeakerDecoder
from services.codec.families.spark.tokenizer import SparkTokenizer
from services.codec.families.spark.weights import Weights

TINY = Path(__file__).parent / "spark-tiny"
SMALL = Path(__file__).parents[2] / "models" / "voxline-small"
FILES = {
    "main": "input.wav",
    "stereo44k": "input_stereo44k.wav",
    "quiet8k": "input_quiet8k.wav",
    "long16k": "input_long16k.flac",
}
Samples = NDArray[np.float64]


@pytest.fixture(scope="module")
def expected() -> Mapping[str, NDArray[np.generic]]:
    with np.load(TINY / "expected.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def tokenizer() -> SparkTokenizer:
    return SparkTokenizer.load(TINY / "model")


@pytest.fixture(scope="module")
def clips() -> dict[str, Samples]:
    return {
        name: load_reference((TINY / file).read_bytes(), 16_000, ReferenceLimits()).clip.samples
        for name, file in FILES.items()
    }


@pytest.fixture(scope="module")
def mixed(clips: dict[str, Samples]) -> list[Samples]:
    """Eight clips of 0.56 to 12.5 s."""
    main, *_, long = clips.values()
    cuts = [main[:9_001], long[20_000:52_345], main[1_000:40_719], np.concatenate(list(clips.values()))[:200_000]]
    return [*clips.values(), *cuts]


@pytest.mark.parametrize("clip", FILES)
def test_volume_equals_the_reference(clip: str, clips: dict[str, Samples], expected: Mapping[str, np.ndarray]) -> None:
    recorded = expected[f"{clip}/wav_norm"]
    np.testing.assert_array_equal(normalise_volume(clips[clip]).astype(recorded.dtype), recorded)


@pytest.mark.parametrize("clip", FILES)
def test_tokens_equal_the_reference(
    clip: str, clips: dict[str, Samples], tokenizer: SparkTokenizer, expected: Mapping[str, np.ndarray]
) -> None:
    [tokens] = tokenizer.tokenize([clips[clip]])
    np.testing.assert_array_equal(tokens.semantic_tokens, expected[f"{clip}/semantic_tokens"])
    np.testing.assert_array_equal(tokens.global_tokens, expected[f"{clip}/global_tokens"])


@pytest.mark.parametrize("clip", FILES)
def test_d_vectors_of_the_tokens_equal_the_reference(
    clip: str, clips: dict[str, Samples], tokenizer: SparkTokenizer, expected: Mapping[str, np.ndarray]
) -> None:
    weights = Weights.read(TINY / "model" / "BiCodec", ["speaker_encoder."])
    speaker = weights.load(lambda: SpeakerDecoder(tokenizer.config.codec.speaker_encoder), "speaker_encoder")
    [tokens] = tokenizer.tokenize([clips[clip]])
    d_vector = speaker(torch.tensor([tokens.global_tokens]))[0]
    np.testing.assert_allclose(d_vector, expected[f"{clip}/d_vector"], rtol=0, atol=1e-5)


def test_every_step_of_the_speaker_branch_equals_the_reference(
    clips: dict[str, Samples], tokenizer: SparkTokenizer, expected: Mapping[str, np.ndarray]
) -> None:
    heard = tokenizer.reference_clips([normalise_volume(clips["main"])])
    np.testing.assert_array_equal(heard[0], expected["main/ref_clip"])
    np.testing.assert_allclose(tokenizer.speaker.mel(heard)[0], expected["main/mel"], rtol=0, atol=1e-5)


def test_every_step_of_the_semantic_branch_equals_the_reference(
    clips: dict[str, Samples], tokenizer: SparkTokenizer, expected: Mapping[str, np.ndarray]
) -> None:
    with torch.inference_mode():
        features = tokenizer.features([normalise_volume(clips["main"])])
        latents = tokenizer.encoder(features)
    np.testing.assert_allclose(features.x[0].T, expected["main/w2v_feat"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(latents.x[0], expected["main/z"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("model_dir", [TINY / "model", SMALL], ids=["tiny", "voxline-small"])
def test_a_clip_gives_in_a_batch_the_tokens_that_it_gives_alone(model_dir: Path, mixed: list[Samples]) -> None:
    tokenizer = SparkTokenizer.load(model_dir)
    alone = [tokenizer.tokenize([clip])[0] for clip in mixed]
    assert tokenizer.tokenize(mixed) == alone
    assert [len(tokens.semantic_tokens) for tokens in alone] == [251, 99, 68, 360, 27, 100, 123, 624]
