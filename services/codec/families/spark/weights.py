"""The tensors of one BiCodec checkpoint file, by name, in float32, with weight norm folded away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

FILES = ("model.safetensors", "pytorch_model.bin")
# Weight norm as the reference saves it, and as torch's parametrization names it: magnitude, direction.
_NORMS = ((".weight_g", ".weight_v"), (".parametrizations.weight.original0", ".parametrizations.weight.original1"))

M = TypeVar("M", bound=nn.Module)


class CheckpointError(ValueError):
    """A model directory that cannot be loaded; says which file, which tensor or key, what was found and expected."""


class Weights:
    """Tensors under the names of the published file; `X.weight` where the file keeps `X.weight_g` and `X.weight_v`."""

    def __init__(self, file: Path, tensors: Mapping[str, Tensor]) -> None:
        self.file = file
        self._tensors = _folded(file, tensors)

    @classmethod
    def read(cls, directory: Path, prefixes: Sequence[str]) -> Weights:
        """Read the tensors whose names start with one of `prefixes`; other names never leave the disk."""
        file = next((directory / name for name in FILES if (directory / name).is_file()), None)
        if file is None:
            raise CheckpointError(f"{directory}: no weights; expected one of {', '.join(FILES)}")
        read = _read_safetensors if file.suffix == ".safetensors" else _read_pickle
        return cls(file, read(file, tuple(prefixes)))

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor that must be there, for widths that no config states."""
        return tuple(self._get(name).shape)

    def tensor(self, name: str, shape: Sequence[int]) -> Tensor:
        """One tensor, float32, contiguous; CheckpointError if it is missing or of another shape."""
        found = self._get(name)
        if tuple(found.shape) != tuple(shape):
            raise CheckpointError(f"{self.file}: tensor {name} has shape {list(found.shape)}, expected {list(shape)}")
        return found

    def load(self, build: Callable[[], M], prefix: str) -> M:
        """Build a module without allocating it, then give every parameter and buffer the tensor `prefix`.NAME.

        An empty prefix means NAME alone.
        """
        with torch.device("meta"):
            module = build()
        start = f"{prefix}." if prefix else ""
        found = {name: self.tensor(start + name, value.shape) for name, value in module.state_dict().items()}
        module.load_state_dict(found, assign=True)
        return module.eval().requires_grad_(False)

    def _get(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise CheckpointError(f"{self.file}: tensor {name} is missing")
        return self._tensors[name]


def _read_safetensors(file: Path, prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    try:
        with safe_open(file, "pt") as tensors:
            return {name: tensors.get_tensor(name) for name in tensors.keys() if name.startswith(prefixes)}  # noqa: SIM118
    except SafetensorError as exc:
        raise CheckpointError(f"{file}: not a safetensors file: {exc}") from exc


def _read_pickle(file: Path, prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    tensors = torch.load(file, map_location="cpu", weights_only=True)
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefixes)}


def _folded(file: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for magnitude, direction in _NORMS:
            if name.endswith(direction):
                layer = name.removesuffix(direction)
                plain[f"{layer}.weight"] = _fold(file, tensors, layer + magnitude, tensor)
                break
            if name.endswith(magnitude):
                break
        else:
            plain[name] = tensor.to(torch.float32).contiguous() if tensor.is_floating_point() else tensor
    return plain


def _fold(file: Path, tensors: Mapping[str, Tensor], magnitude: str, direction: Tensor) -> Tensor:
    """g * v / ||v||, the norm over the dimensions where g is 1: all but the first (of a transposed convolution: its
    inputs) in BiCodec, all but the last in wav2vec2."""
    if magnitude not in tensors:
        raise CheckpointError(f"{file}: tensor {magnitude} is missing")
    g, v = tensors[magnitude].float(), direction.float()
    if v.dim() != 3 or tuple(g.shape) not in ((v.shape[0], 1, 1), (1, 1, v.shape[2])):
        raise CheckpointError(f"{file}: tensor {magnitude} has shape {list(g.shape)}, expected {[v.shape[0], 1, 1]}")
    norm: Tensor = torch.linalg.vector_norm(v, dim=[dim for dim in range(3) if g.shape[dim] == 1], keepdim=True)
    return g * v / norm
