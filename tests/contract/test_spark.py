import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.contract.families.spark import SparkSpeaker, codec_revision, llm_revision
from services.contract.speaker import Speaker
from services.runtime.errors import InvalidRequest

PUBLISHED = Path(__file__).parents[1] / "parity" / "spark-tiny" / "model"

LLM = ("LLM/config.json", "LLM/tokenizer.json", "LLM/model.safetensors")
CODEC = (
    "config.yaml",
    "BiCodec/config.yaml",
    "BiCodec/model.safetensors",
    "wav2vec2-large-xlsr-53/config.json",
    "wav2vec2-large-xlsr-53/preprocessor_config.json",
    "wav2vec2-large-xlsr-53/pytorch_model.bin",
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PUBLISHED, tmp_path / "model"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.mark.parametrize(("revision", "own"), [(llm_revision, LLM), (codec_revision, CODEC)])
def test_a_revision_follows_its_own_files_alone(
    checkpoint: Path, cache: Path, revision: Callable[[Path, Path], str], own: tuple[str, ...]
) -> None:
    before = revision(checkpoint, cache)
    assert before
    for name in (*LLM, *CODEC, "LLM/vocab.json"):
        content = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(content + b" ")
        assert (revision(checkpoint, cache) != before) == (name in own), name
        (checkpoint / name).write_bytes(content)


@pytest.mark.parametrize(("revision", "own"), [(llm_revision, LLM), (codec_revision, CODEC)])
def test_a_half_that_is_not_whole_has_none(
    checkpoint: Path, cache: Path, revision: Callable[[Path, Path], str], own: tuple[str, ...]
) -> None:
    for name in own:
        (checkpoint / name).rename(checkpoint / "away")
        assert revision(checkpoint, cache) == "", name
        (checkpoint / "away").rename(checkpoint / name)


def test_state_of_a_speaker_comes_back_and_is_always_the_same() -> None:
    speaker = SparkSpeaker((3, 1, 2), (1291,))
    assert SparkSpeaker.of(speaker.speaker(), "speaker") == speaker
    assert speaker.speaker().state == SparkSpeaker((3, 1, 2), (1291,)).speaker().state
    assert speaker.speaker().global_tokens == (3, 1, 2)


@pytest.mark.parametrize("state", [b"\xff", b"not a speaker"])
def test_another_state_is_refused(state: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SparkSpeaker.of(Speaker(state), "speaker")
    assert caught.value.field == "speaker.state"
