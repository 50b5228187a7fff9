"""A small library, compiled where the tests run."""

import ctypes
import shutil
from pathlib import Path

import pytest

from services.runtime.compiled import Source, compile_to, compiled, loaded

assert shutil.which("g++"), "without it these tests say nothing: apt-get install g++"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "answer.h").write_text("constexpr int ANSWER = 42;\n")
    (tmp_path / "answer.cpp").write_text('#include "answer.h"\nextern "C" int answer() { return ANSWER + MORE; }\n')
    return of(tmp_path)


def of(folder: Path, more: int = 0) -> Source:
    files = (folder / "answer.cpp", folder / "answer.h")
    return Source("answer", files, (f"-DMORE={more}",), "so there is no answer.")


def answer(library: Path | None) -> int:
    assert library is not None
    given: int = ctypes.CDLL(str(library)).answer()
    return given


def test_what_is_compiled_runs(source: Source, tmp_path: Path) -> None:
    assert answer(compiled(source, tmp_path / "cache")) == 42


def test_it_is_compiled_once(source: Source, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = compiled(source, cache)
    assert first is not None
    made = first.stat().st_mtime_ns
    assert compiled(source, cache) == first
    assert first.stat().st_mtime_ns == made
    assert list(cache.iterdir()) == [first]


def test_all_that_it_depends_on_makes_another(source: Source, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    made = [compiled(source, cache), compiled(of(tmp_path, more=1), cache)]
    (tmp_path / "answer.h").write_text("constexpr int ANSWER = 44;\n")
    made.append(compiled(source, cache))
    assert len(set(made)) == 3
    assert [answer(each) for each in made] == [42, 43, 44]


def test_without_a_compiler_there_is_none(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiled(source, tmp_path / "cache") is None
    assert "There is no g++, so there is no answer." in caplog.text
    assert not list((tmp_path / "cache").iterdir())


def test_where_nothing_can_be_written_there_is_none(
    source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert compiled(source, tmp_path / "answer.h") is None
    assert "cannot be written" in caplog.text


def test_a_compiler_that_fails_is_reported_and_leaves_nothing(
    source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "answer.h").write_text("no C++\n")
    assert compiled(source, tmp_path / "cache") is None
    assert "g++ failed, so there is no answer." in caplog.text
    assert "answer.h" in str(caplog.records[0].__dict__["stderr"])
    assert not list((tmp_path / "cache").iterdir())


def test_a_library_that_cannot_be_loaded_is_done_without(
    source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a folder that nothing may be run from."""
    made = compiled(source, tmp_path / "cache")
    assert made is not None
    made.write_text("no library")
    assert loaded(source, tmp_path / "cache") is None
    assert "cannot be loaded" in caplog.text


def test_what_came_with_the_package_is_taken(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compile_to(source.packaged(), source)
    monkeypatch.setenv("PATH", str(tmp_path))
    library = loaded(source, tmp_path / "cache")
    assert library is not None
    assert library.answer() == 42
    assert not (tmp_path / "cache").exists()


def test_a_package_of_another_c_library_is_compiled_anew(source: Source, tmp_path: Path) -> None:
    source.packaged().write_text("no library of this machine")
    library = loaded(source, tmp_path / "cache")
    assert library is not None
    assert library.answer() == 42
