import dataclasses
from pathlib import Path

import pytest

from services.llm.engines import ENGINES, default_precision, engine_loader
from services.llm.engines.engine import EngineModel


def test_engine_without_its_library_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "gone", "not_installed_anywhere.engine:Engine")
    with pytest.raises(ValueError, match=r"gone needs not_installed_anywhere.*voxline\[gone\]"):
        engine_loader("gone")


@pytest.mark.parametrize(
    ("engine", "size", "precision"),
    [
        ("openvino", 2**20, "f32"),
        ("openvino", 2**30, "q8_0"),
        ("transformers", 2**30, "f32"),
        ("vllm", 2**20, "bf16"),
    ],
)
def test_default_precision(tiny_model: EngineModel, tmp_path: Path, engine: str, size: int, precision: str) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(size)
    assert default_precision(engine, dataclasses.replace(tiny_model, directory=tmp_path)) == precision
