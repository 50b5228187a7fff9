"""Checkpoints and the pieces on top of them that most tests of the LLM stage need."""

import shutil
from pathlib import Path

import pytest

from services.llm.engines.engine import EngineModel
from services.llm.families import load_family
from services.llm.families.family import Family

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def small() -> Path:
    """The bundled voice."""
    return ROOT / "models" / "voxline-small"


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Random weights; other sizes and another order of ids than the bundled voice."""
    return ROOT / "tests" / "parity" / "spark-tiny" / "model"


@pytest.fixture(scope="session")
def small_family(small: Path) -> Family:
    return load_family("spark", small)


@pytest.fixture(scope="session")
def tiny_family(tiny: Path) -> Family:
    return load_family("spark", tiny)


@pytest.fixture(scope="session")
def tiny_model(tiny_family: Family) -> EngineModel:
    return tiny_family.engine_model


@pytest.fixture(scope="session")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert shutil.which("g++"), "without it these tests say nothing: apt-get install g++"
    # Only one engine has it.
    from services.llm.engines.openvino_ops.library import compiled

    path = compiled(tmp_path_factory.mktemp("cache"))
    if path is None:
        pytest.skip("this CPU has no VNNI")
    return path
