import os
from pathlib import Path

import pytest

from services.contract.digests import digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "LLM").mkdir(parents=True)
    (tmp_path / "model" / "config.yaml").write_text("rate: 16000")
    (tmp_path / "model" / "LLM" / "weights").write_bytes(bytes(100))
    return tmp_path / "model"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "voxline"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_same_files_in_another_folder_are_the_same(folder: Path, cache: Path) -> None:
    found = digest(folder, files(folder), cache)
    elsewhere = folder.rename(folder.parent / "renamed")
    assert digest(elsewhere, reversed(files(elsewhere)), cache) == found
    assert len(bytes.fromhex(found)) == 32


@pytest.mark.parametrize(
    ("name", "content"), [("config.yaml", b"rate: 24000"), ("LLM/weights", bytes(99)), ("LLM/more", b"")]
)
def test_other_content_is_another_digest(folder: Path, cache: Path, name: str, content: bytes) -> None:
    before = digest(folder, files(folder), cache)
    (folder / name).write_bytes(content)
    os.utime(folder / name, ns=(0, 1))
    assert digest(folder, files(folder), cache) != before


def test_another_name_is_another_digest(folder: Path, cache: Path) -> None:
    before = digest(folder, files(folder), cache)
    (folder / "config.yaml").rename(folder / "other.yaml")
    assert digest(folder, files(folder), cache) != before


def test_what_was_seen_before_is_not_read_again(folder: Path, cache: Path) -> None:
    found = digest(folder, files(folder), cache)
    weights = folder / "LLM" / "weights"
    state = weights.stat()
    weights.write_bytes(b"\1" * 100)
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert digest(folder, files(folder), cache) == found
    assert digest(folder, files(folder), cache.parent / "another") != found


def test_a_cache_that_cannot_be_written_changes_nothing(folder: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert digest(folder, files(folder), tmp_path / "file" / "cache") == digest(folder, files(folder), cache)


def test_a_missing_file_is_told(folder: Path, cache: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest(folder, [folder / "none"], cache)
