import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from services.llm.checkpoint import UnusableCheckpoint, load_config
from services.llm.qwen2_tensors import check_tensors
from services.llm.weights import Weights


def test_config_of_either_transformers_generation(small: Path, tiny: Path) -> None:
    assert load_config(small / "LLM").rope_theta == 10_000
    assert load_config(tiny / "LLM").rope_theta == 1_000_000
    assert load_config(small / "LLM").end_ids == {258}


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "llama"},
        {"use_sliding_window": True},
        {"rope_scaling": {"type": "yarn"}},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}},
        {"vocab_size": 0},
        {"hidden_act": "gelu"},
    ],
)
def test_another_architecture_is_unusable(tiny: Path, tmp_path: Path, change: dict[str, object]) -> None:
    config = json.loads((tiny / "LLM" / "config.json").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UnusableCheckpoint, match=r"config\.json"):
        load_config(tmp_path)


def test_missing_config_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableCheckpoint, match=r"config\.json"):
        load_config(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_read_as_they_were_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    saved = {"a": torch.randn(3, 5).to(dtype), "b": torch.randn(7).to(dtype)}
    save_file(saved, tmp_path / "model.safetensors")
    weights = Weights(tmp_path)
    assert set(weights) == {"a", "b"}
    for name, tensor in saved.items():
        assert weights[name].dtype == np.float32
        np.testing.assert_array_equal(weights[name], tensor.float().numpy())


def test_weights_of_several_files_are_one_mapping(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({name: torch.ones(2)}, tmp_path / f"model-{name}.safetensors")
    assert len(Weights(tmp_path)) == 2


def test_fp16_weights_are_refused_with_the_reason(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2).half()}, tmp_path / "model.safetensors")
    with pytest.raises(UnusableCheckpoint, match=r"fp16.*overflow.*bf16 or fp32"):
        Weights(tmp_path)


def test_other_number_formats_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2, dtype=torch.int8)}, tmp_path / "model.safetensors")
    with pytest.raises(UnusableCheckpoint, match="I8"):
        Weights(tmp_path)


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 16, (9).to_bytes(8, "little") + b"not json!"])
def test_file_that_is_no_safetensors_is_unusable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UnusableCheckpoint, match="safetensors"):
        Weights(tmp_path)


def test_file_that_is_cut_off_is_unusable(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnusableCheckpoint, match="cut off"):
        Weights(tmp_path)


def test_folder_without_weights_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableCheckpoint, match="no "):
        Weights(tmp_path)


@pytest.mark.parametrize("checkpoint", ["small", "tiny"])
def test_a_whole_checkpoint_passes(request: pytest.FixtureRequest, checkpoint: str) -> None:
    directory = request.getfixturevalue(checkpoint) / "LLM"
    check_tensors(Weights(directory), load_config(directory))


@pytest.mark.parametrize(
    ("name", "shape", "found"),
    [
        (
            "model.layers.1.mlp.up_proj.weight",
            (100, 64),
            r"up_proj\.weight has shape \[100, 64\], expected \[160, 64\]",
        ),
        ("model.layers.0.self_attn.k_proj.bias", None, r"k_proj\.bias is missing"),
        ("lm_head.weight", (5, 64), r"lm_head\.weight has shape \[5, 64\], expected \[1395, 64\]"),
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(
    tiny: Path, tmp_path: Path, name: str, shape: tuple[int, ...] | None, found: str
) -> None:
    tensors = load_file(tiny / "LLM" / "model.safetensors")
    tensors.pop(name, None)
    if shape is not None:
        tensors[name] = torch.zeros(shape)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UnusableCheckpoint, match=found):
        check_tensors(Weights(tmp_path), load_config(tiny / "LLM"))
