"""The wheel, built as pip builds it."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
LOADED = """
import sys
from pathlib import Path
from services.codec.families.spark.layers.cpu.source import SOURCE as codec
from services.llm.engines.cpu.source import SOURCE as llm
from services.runtime.compiled import loaded

assert all(loaded(source, Path(sys.argv[1])) for source in (codec, llm))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def test_it_says_for_what_platform_it_is(wheel: Path) -> None:
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name.endswith(f"-py3-none-{platform}.whl")


def test_nothing_is_compiled_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path / "installed")
    path = os.pathsep.join((str(tmp_path / "installed"), sysconfig.get_path("purelib")))
    command = (sys.executable, "-S", "-c", LOADED, str(tmp_path / "cache"))
    subprocess.run(command, cwd=tmp_path, env={"PATH": "", "PYTHONPATH": path}, check=True)
    assert not (tmp_path / "cache").exists()
