import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config as OriginalConfig
from transformers import Wav2Vec2Model

from services.codec.families.spark.tokenizer import WAV2VEC2, SparkTokenizer, SparkTokens
from services.codec.families.spark.wav2vec2_config import Wav2Vec2Config
from services.codec.families.spark.weights import CheckpointError
from services.runtime.errors import InvalidRequest


@pytest.fixture(scope="module", params=["layer", "group"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tokenizer(kind: str, random_checkpoint: Callable[[str], Path]) -> SparkTokenizer:
    return SparkTokenizer.load(random_checkpoint(kind))


def noise(samples: int) -> NDArray[np.float64]:
    """Noise whose level changes, so that no stretch is like another."""
    levels = np.interp(np.arange(samples), np.linspace(0, 60_000, 40), np.random.default_rng(1).uniform(0.05, 0.6, 40))
    return np.random.default_rng(samples).uniform(-1, 1, samples) * levels


def test_a_checkpoint_of_other_sizes_gives_tokens_in_range(tokenizer: SparkTokenizer) -> None:
    [tokens] = tokenizer.tokenize([noise(30_000)])
    assert len(tokens.global_tokens) == tokenizer.global_token_count == 6
    assert len(set(tokens.global_tokens)) > 1
    assert max(tokens.global_tokens) < tokenizer.global_codebook_size == 30
    assert len(tokens.semantic_tokens) == tokenizer.features.frame_count(30_000) == 93
    assert len(set(tokens.semantic_tokens)) > 10
    assert max(tokens.semantic_tokens) < tokenizer.codebook_size == 77
    assert (tokenizer.sample_rate, tokenizer.frame_rate) == (12_000, 37.5)


def test_a_batch_changes_no_token(tokenizer: SparkTokenizer) -> None:
    clips = [noise(samples) for samples in (30_000, 6_001, 48_321, 12_345, 6_001, 700, 20_000, 9_999)]
    assert tokenizer.tokenize(clips) == [tokenizer.tokenize([clip])[0] for clip in clips]


def test_padding_changes_no_latent(tokenizer: SparkTokenizer) -> None:
    clips = [noise(samples) for samples in (12_345, 40_000, 700)]
    with torch.inference_mode():
        batch = tokenizer.encoder(tokenizer.features(clips)).rows()
        for clip, row in zip(clips, batch, strict=True):
            torch.testing.assert_close(row, tokenizer.encoder(tokenizer.features([clip])).x[0], rtol=0, atol=1e-4)


def test_what_a_config_leaves_out_is_as_transformers_has_it() -> None:
    ours = Wav2Vec2Config().model_dump(mode="json")
    theirs = OriginalConfig().to_dict()
    assert ours == {name: theirs[name] for name in ours}


def test_features_are_transformers_own_hidden_states(
    kind: str, tokenizer: SparkTokenizer, originals: dict[str, Wav2Vec2Model]
) -> None:
    clip = noise(20_000)
    normal = torch.from_numpy((clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)).float()
    with torch.inference_mode():
        states = originals[kind](normal[None], output_hidden_states=True).hidden_states
        features = tokenizer.features([clip]).x[0].T
    torch.testing.assert_close(features, (states[11] + states[14] + states[16])[0] / 3, rtol=0, atol=1e-4)


def test_the_volume_of_a_recording_makes_no_difference(tokenizer: SparkTokenizer) -> None:
    clip = noise(20_000)
    assert tokenizer.tokenize([clip / 2]) == tokenizer.tokenize([clip])


def test_only_the_start_of_a_long_recording_says_who_speaks(tokenizer: SparkTokenizer) -> None:
    length = tokenizer.config.audio.reference_samples
    assert length == 15_360
    clip = noise(30_000)
    other = np.concatenate([clip[:length], clip[: length - 1 : -1]])
    one, two = tokenizer.tokenize([clip, other])
    assert one.global_tokens == two.global_tokens
    assert one.semantic_tokens != two.semantic_tokens


def test_a_clip_of_a_single_frame_is_the_shortest(tokenizer: SparkTokenizer) -> None:
    shortest = tokenizer.features.samples_needed
    [tokens] = tokenizer.tokenize([noise(shortest)])
    assert len(tokens.semantic_tokens) == 1
    with pytest.raises(InvalidRequest, match=f"fewer than {shortest} samples") as caught:
        tokenizer.tokenize([noise(30_000), noise(shortest - 1)])
    assert caught.value.field == "audio"


def test_no_clips_give_no_tokens(tokenizer: SparkTokenizer) -> None:
    assert tokenizer.tokenize([]) == []


def test_a_recording_without_tokens_does_not_exist() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SparkTokens((1,), ())


def changed(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"num_hidden_layers": 15}, "num_hidden_layers: 15, expected 16 or more"),
        ("config.json", {"num_hidden_layers": None}, "config.json: num_hidden_layers"),
        ("config.json", {"hidden_size": 48}, "expected"),
        ("config.json", {"num_attention_heads": 5}, "hidden_size is no multiple of num_attention_heads"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act"),
        ("config.json", {"conv_dim": [12]}, "differ in length"),
        ("config.json", {"conv_stride": [10, 16]}, "conv_stride multiplies to 160, expected 320"),
        ("preprocessor_config.json", {"sampling_rate": 16_000}, "sampling_rate 16000, expected 12000"),
    ],
)
def test_a_wav2vec2_that_does_not_fit_is_refused(
    file: str, changes: dict[str, object], message: str, random_checkpoint: Callable[[str], Path]
) -> None:
    root = random_checkpoint("group")
    changed(root / WAV2VEC2 / file, **changes)
    with pytest.raises(CheckpointError, match=message):
        SparkTokenizer.load(root)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(file: str, random_checkpoint: Callable[[str], Path]) -> None:
    root = random_checkpoint("group")
    (root / WAV2VEC2 / file).unlink()
    with pytest.raises(CheckpointError, match=WAV2VEC2):
        SparkTokenizer.load(root)


def test_a_config_that_is_no_json_is_refused(random_checkpoint: Callable[[str], Path]) -> None:
    root = random_checkpoint("group")
    (root / WAV2VEC2 / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        SparkTokenizer.load(root)


def test_features_of_another_width_than_the_encoder_takes_are_refused(random_checkpoint: Callable[[str], Path]) -> None:
    root = random_checkpoint("group")
    file = root / "BiCodec" / "config.yaml"
    content = yaml.safe_load(file.read_text())
    content["audio_tokenizer"]["encoder"]["input_channels"] = 25
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(CheckpointError, match="hidden_size 24, expected 25"):
        SparkTokenizer.load(root)


def test_a_missing_tensor_is_named(random_checkpoint: Callable[[str], Path]) -> None:
    file = random_checkpoint("group") / "BiCodec" / "model.safetensors"
    tensors = load_file(file)
    del tensors["encoder.project.bias"]
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match=r"encoder\.project\.bias is missing"):
        SparkTokenizer.load(file.parents[1])
