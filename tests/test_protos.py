"""The public API is guarded: what breaks a client is seen before it is served."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BUF = str(Path(sys.executable).with_name("buf"))
PROTOS = Path(__file__).parents[1] / "protos"


def breaking(protos: Path) -> subprocess.CompletedProcess[bytes]:
    """As `make lint` asks."""
    public = (BUF, "build", str(protos), "--path", str(protos / "voxline/v1"), "-o", "-")
    image = subprocess.run(public, capture_output=True, check=True).stdout
    against = (BUF, "breaking", "-#format=binpb", "--against", str(PROTOS / "public.binpb"), "--exclude-imports")
    return subprocess.run(against, input=image, capture_output=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("gen", "*.binpb")
    return Path(shutil.copytree(PROTOS, tmp_path / "protos", ignore=ignored))


def changed(protos: Path, file: str, before: str, after: str) -> None:
    path = protos / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_the_image_is_that_of_the_protos() -> None:
    found = breaking(PROTOS)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("double audio_seconds = 3;", "double audio_seconds = 30;"),
        ("uint32 retries = 6;", "string retries = 6;"),
        ("  // Tokens drawn.\n  uint32 output_tokens = 2;\n", ""),
        ("rpc GetVoice(", "rpc FetchVoice("),
    ],
)
def test_a_broken_public_field_is_seen(copied: Path, before: str, after: str) -> None:
    changed(copied, "voxline/v1/text_to_speech.proto", before, after)
    assert breaking(copied).returncode != 0


def test_a_new_public_field_breaks_nobody(copied: Path) -> None:
    changed(copied, "voxline/v1/text_to_speech.proto", "uint32 retries = 6;", "uint32 retries = 6;\n  bool more = 7;")
    assert breaking(copied).returncode == 0


def test_the_stages_may_change_among_themselves(copied: Path) -> None:
    changed(copied, "voxline/stages/v1/llm.proto", "uint32 first_frames = 1;", "uint64 first_frames = 9;")
    assert breaking(copied).returncode == 0
