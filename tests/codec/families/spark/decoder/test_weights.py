"""Reading checkpoints: forms that load, and what is said of those that do not."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from services.codec.families.spark.decoder import PREFIXES, SparkDetokenizer
from services.codec.families.spark.weights import CheckpointError, Weights

Write = Callable[[Mapping[str, Tensor]], Path]
SPEAKER, CODES = [1, 2, 3], list(range(40))


def decoded(directory: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return SparkDetokenizer.load(directory).decode(SPEAKER, CODES)


@pytest.mark.parametrize("transposed", [False, True])
def test_weight_norm_is_folded_as_torch_does(transposed: bool) -> None:
    layer = nn.ConvTranspose1d(4, 6, 5) if transposed else nn.Conv1d(4, 6, 5)
    normed = parametrizations.weight_norm(layer)
    state = {name: tensor.clone() for name, tensor in normed.state_dict().items()}
    g, v = (state[f"parametrizations.weight.original{index}"] for index in (0, 1))
    g *= 1.7
    normed.load_state_dict(state)
    old = {"x.weight_g": g, "x.weight_v": v, "x.bias": state["bias"]}
    new = {f"x.{name}": tensor for name, tensor in state.items()}
    for tensors in (old, new):
        weights = Weights(Path("file"), tensors)
        torch.testing.assert_close(weights.tensor("x.weight", v.shape), normed.weight.detach())


@pytest.mark.parametrize(
    "name",
    ["quantizer.codebook.weight", "prenet.vocos_backbone.norm.scale.bias", "decoder.model.1.block.1.weight_g"],
)
def test_a_missing_tensor_is_named(odd_tensors: dict[str, Tensor], write_odd: Write, name: str) -> None:
    del odd_tensors[name]
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: tensor {name} is missing"):
        decoded(write_odd(odd_tensors))


@pytest.mark.parametrize("name", ["decoder.model.3.alpha", "speaker_encoder.project.weight", "prenet.linear.bias"])
def test_a_misshapen_tensor_is_named_with_both_shapes(
    odd_tensors: dict[str, Tensor], write_odd: Write, name: str
) -> None:
    expected = list(odd_tensors[name].shape)
    odd_tensors[name] = torch.zeros(2, 9)
    with pytest.raises(CheckpointError) as caught:
        decoded(write_odd(odd_tensors))
    assert f"tensor {name} has shape [2, 9], expected {expected}" in str(caught.value)


def test_unexpected_tensors_are_ignored(odd_tensors: dict[str, Tensor], write_odd: Write) -> None:
    more = {
        "prenet.more": torch.ones(1),
        "postnet.linear.weight": torch.ones(2, 2),
        "mel_transformer.fb": torch.ones(3),
    }
    assert decoded(write_odd({**odd_tensors, **more})).std() > 0.05


def test_half_precision_is_read_as_float32(odd_tensors: dict[str, Tensor], write_odd: Write) -> None:
    half = {name: tensor.half() for name, tensor in odd_tensors.items()}
    weights = Weights.read(write_odd(half) / "BiCodec", PREFIXES)
    tensor = weights.tensor("prenet.linear.weight", odd_tensors["prenet.linear.weight"].shape)
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor, half["prenet.linear.weight"].float())


def test_a_pickled_checkpoint_sounds_the_same(odd_tensors: dict[str, Tensor], write_odd: Write) -> None:
    directory = write_odd(odd_tensors)
    expected = decoded(directory)
    (directory / "BiCodec" / "model.safetensors").unlink()
    torch.save(odd_tensors, directory / "BiCodec" / "pytorch_model.bin")
    np.testing.assert_allclose(decoded(directory), expected, rtol=0, atol=1e-5)


def test_a_directory_without_weights_is_an_error(odd_tensors: dict[str, Tensor], write_odd: Write) -> None:
    directory = write_odd(odd_tensors)
    (directory / "BiCodec" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        decoded(directory)


def test_a_truncated_file_is_an_error(odd_tensors: dict[str, Tensor], write_odd: Write) -> None:
    directory = write_odd(odd_tensors)
    file = directory / "BiCodec" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        decoded(directory)
