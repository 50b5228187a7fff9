"""Both C++ programs against what they computed where `recorded.bin` was recorded, here and on an emulated ARM."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.codec.families.spark.layers.cpu.source import SOURCE as CODEC
from services.llm.engines.cpu.source import SOURCE as LLM

HERE = Path(__file__).parent
# The best kind of each: voxline_kind's NEON_DOT and NEON.
ARMS = {"max": 5, "cortex-a53": 4}
SECTIONS = 10


def made(compiler: str, folder: Path) -> Path:
    program = folder / "check"
    sources = (HERE / "check.cpp", LLM.files[0], CODEC.files[0])
    command = (compiler, "-std=c++17", "-O3", "-Wall", "-Werror", *LLM.flags, *CODEC.flags, *sources, "-o", program)
    subprocess.run(command, check=True)
    return program


def checked(command: Sequence[str | Path]) -> list[str]:
    """What the program says, line by line."""
    done = subprocess.run([*command, HERE / "recorded.bin"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("aarch64-linux-gnu-g++", "qemu-aarch64"):
        if not shutil.which(program):
            pytest.skip(f"there is no {program}")
    return made("aarch64-linux-gnu-g++", tmp_path_factory.mktemp("arm"))


def test_this_machine_computes_what_was_recorded(tmp_path: Path) -> None:
    assert shutil.which("g++"), "without it this test says nothing: apt-get install g++"
    said = checked([made("g++", tmp_path)])
    assert said[-1].startswith(f"sections: {SECTIONS},")


@pytest.mark.parametrize("cpu", ARMS)
def test_arm_computes_what_was_recorded(arm: Path, cpu: str) -> None:
    said = checked(["qemu-aarch64", "-cpu", cpu, "-L", "/usr/aarch64-linux-gnu", arm])
    assert said[-1] == f"sections: {SECTIONS}, best kind: {ARMS[cpu]}"
    kinds = {line.split()[2] for line in said if line.startswith("llm ")}
    assert kinds == {str(kind) for kind in range(4, ARMS[cpu] + 1)}
