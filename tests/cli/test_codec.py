"""The codec commands with the bundled voice, in this process."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Voxline

RATE, HOP = 16_000, 320


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a tone that glides up, and whose loudness swings four times."""
    path = tmp_path_factory.mktemp("recording") / "tone.wav"
    time = np.arange(RATE) / RATE
    samples = 0.5 * np.sin(2 * np.pi * (120 + 40 * time) * time) * np.sin(2 * np.pi * 4 * time)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def test_recording_becomes_tokens_and_sound_again(voxline: Voxline, recording: Path, tmp_path: Path) -> None:
    tokens, again = tmp_path / "voice.json", tmp_path / "again.wav"
    result = voxline("codec", "encode", recording, "-o", tokens, "--transcript", "Mmm.")
    assert result.exit_code == 0, result.output
    voice = json.loads(tokens.read_text())
    assert voice["transcript"] == "Mmm."
    assert voice["global_tokens"]
    result = voxline("codec", "decode", tokens, "-o", again)
    assert result.exit_code == 0, result.output
    with wave.open(str(again)) as file:
        assert (file.getframerate(), file.getnframes()) == (RATE, HOP * len(voice["semantic_tokens"]))
        assert any(file.readframes(RATE))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{", "the file"), ('{"global_tokens": [1]}', "semantic_tokens"), ('{"global_tokens": [-1]}', "global_tokens.0")],
)
def test_voice_file_that_is_none_is_said_so(voxline: Voxline, tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "voice.json"
    path.write_text(content)
    result = voxline("codec", "decode", path, "-o", tmp_path / "a.wav")
    assert result.exit_code == 1
    assert complaint in result.stderr


@pytest.mark.parametrize(("globals_", "codes"), [([1, 2, 3], [1]), ([1] * 8, [1_000_000]), ([1] * 8, [])])
def test_tokens_of_another_model_are_said_so(
    voxline: Voxline, tmp_path: Path, globals_: list[int], codes: list[int]
) -> None:
    path = tmp_path / "voice.json"
    path.write_text(json.dumps({"global_tokens": globals_, "semantic_tokens": codes}))
    result = voxline("codec", "decode", path, "-o", tmp_path / "a.wav")
    assert result.exit_code == 1
    assert "tokens" in result.stderr


def test_file_that_is_no_recording_is_said_so(voxline: Voxline, tmp_path: Path) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("These are no samples.")
    result = voxline("codec", "encode", path, "-o", tmp_path / "a.json")
    assert result.exit_code == 1
    assert "no known format" in result.stderr


def test_folder_without_a_codec_is_said_so(voxline: Voxline, recording: Path, tmp_path: Path) -> None:
    result = voxline("codec", "encode", recording, "-o", tmp_path / "a.json", "--model", tmp_path)
    assert result.exit_code == 1
    assert "config.yaml" in result.stderr
