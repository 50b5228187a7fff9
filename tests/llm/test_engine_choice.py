import pytest

from services.llm.engines import ENGINES, default_precision, engine_loader


def test_engine_without_its_library_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "gone", "not_installed_anywhere.engine:Engine")
    with pytest.raises(ValueError, match=r"gone needs not_installed_anywhere.*voxline\[gone\]"):
        engine_loader("gone")


def test_every_engine_has_a_default_precision() -> None:
    assert {name: default_precision(name) for name in ENGINES} == {
        "cpu": "int8",
        "transformers": "f32",
        "vllm": "bf16",
    }
