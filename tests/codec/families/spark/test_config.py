"""The config files of a model directory: what is read, and what is said of those that cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.weights import CheckpointError

SMALL = Path(__file__).parents[4] / "models" / "voxline-small"
Document = dict[str, Any]
Change = Callable[[Document], object]


@pytest.fixture
def audio() -> Document:
    return dict(yaml.safe_load((SMALL / "config.yaml").read_text()))


@pytest.fixture
def codec() -> Document:
    return dict(yaml.safe_load((SMALL / "BiCodec" / "config.yaml").read_text()))


def written(root: Path, audio: object, codec: object) -> Path:
    (root / "BiCodec").mkdir()
    (root / "config.yaml").write_text(yaml.safe_dump(audio))
    (root / "BiCodec" / "config.yaml").write_text(yaml.safe_dump(codec))
    return root


def test_the_bundled_voice_is_read() -> None:
    config = SparkConfig.read(SMALL)
    assert config.audio.sample_rate == 16000
    assert config.codec.decoder.hop == 320
    assert config.codec.speaker_encoder.codebook_size == 256
    assert config.audio.reference_samples == 48000


def test_unknown_keys_are_ignored(tmp_path: Path, audio: Document, codec: Document) -> None:
    audio["new"] = codec["new"] = codec["audio_tokenizer"]["decoder"]["new"] = {"x": [1]}
    del codec["audio_tokenizer"]["postnet"]
    read, small = SparkConfig.read(written(tmp_path, audio, codec)), SparkConfig.read(SMALL)
    assert (read.audio, read.codec) == (small.audio, small.codec)


def test_the_look_ahead_is_the_checkpoints_own_or_a_safe_one(tmp_path: Path, audio: Document, codec: Document) -> None:
    folder = written(tmp_path, audio, codec)
    assert SparkConfig.read(folder).extras.look_ahead_frames == 24
    (folder / "voxline.yaml").write_text("look_ahead_frames: 7\nmax_segment_characters: 90\n")
    assert SparkConfig.read(folder).extras.look_ahead_frames == 7
    (folder / "voxline.yaml").write_text("look_ahead_frames: -1\n")
    with pytest.raises(CheckpointError, match=r"voxline.yaml: look_ahead_frames"):
        SparkConfig.read(folder)


CHANGES: list[tuple[Change, str]] = [
    (lambda c: c.pop("audio_tokenizer"), "audio_tokenizer: Field required"),
    (lambda c: c["audio_tokenizer"].pop("prenet"), "audio_tokenizer.prenet: Field required"),
    (lambda c: c["audio_tokenizer"]["quantizer"].update(codebook_size="8192"), "quantizer.codebook_size"),
    (lambda c: c["audio_tokenizer"]["quantizer"].update(codebook_size=0), "quantizer.codebook_size"),
    (lambda c: c["audio_tokenizer"]["prenet"].update(sample_ratios=[1, 2]), "prenet.sample_ratios.1"),
    (lambda c: c["audio_tokenizer"]["speaker_encoder"].update(fsq_levels=[]), "speaker_encoder.fsq_levels"),
    (lambda c: c["audio_tokenizer"]["speaker_encoder"].update(fsq_num_quantizers=2), "fsq_num_quantizers"),
    (lambda c: c["audio_tokenizer"]["decoder"].update(kernel_sizes=[16, 11, 8]), "4 rates but 3 kernel_sizes"),
    (
        lambda c: c["audio_tokenizer"]["decoder"].update(kernel_sizes=[16, 11, 8, 5]),
        "kernel size 5 does not fit rate 2",
    ),
    (lambda c: c["audio_tokenizer"]["decoder"].update(channels=24), "channels 24 cannot be halved 4 times"),
    (
        lambda c: c["audio_tokenizer"]["decoder"].update(rates=[8, 5, 4, 4]),
        "multiply to 640, expected latent_hop_length",
    ),
    (lambda c: c["audio_tokenizer"]["prenet"].update(out_channels=64), "prenet.out_channels 64 differs from"),
    (lambda c: c["audio_tokenizer"]["prenet"].update(condition_dim=64), "prenet.condition_dim 64 differs from"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[said for _, said in CHANGES])
def test_a_wrong_key_is_named_with_its_file(
    tmp_path: Path, audio: Document, codec: Document, change: Change, said: str
) -> None:
    change(codec)
    with pytest.raises(CheckpointError) as caught:
        SparkConfig.read(written(tmp_path, audio, codec))
    assert str(tmp_path / "BiCodec" / "config.yaml") in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("document", [None, [], "text", {"sample_rate": 16000}])
def test_a_file_of_another_shape_is_named(tmp_path: Path, codec: Document, document: object) -> None:
    with pytest.raises(CheckpointError) as caught:
        SparkConfig.read(written(tmp_path, document, codec))
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        SparkConfig.read(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))


def test_what_is_not_yaml_is_an_error(tmp_path: Path, audio: Document, codec: Document) -> None:
    (written(tmp_path, audio, codec) / "config.yaml").write_text("a: [")
    with pytest.raises(CheckpointError, match="not YAML"):
        SparkConfig.read(tmp_path)
