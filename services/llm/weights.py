"""safetensors files as float32 arrays, mapped and not read. numpy has no bfloat16, so the format's own 8-byte header is
parsed here (huggingface/safetensors, "Format").
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from services.llm.checkpoint import UnusableCheckpoint

Float32 = NDArray[np.float32]
_LENGTH_BYTES = 8


class _Entry(TypedDict):
    dtype: str
    shape: list[int]
    data_offsets: list[int]


@dataclass(frozen=True)
class _Stored:
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def array(self) -> Float32:
        if self.dtype == "F32":
            return np.memmap(self.path, np.dtype("<f4"), "r", self.offset, self.shape)
        halves = np.memmap(self.path, np.dtype("<u2"), "r", self.offset, self.shape)
        return (halves.astype(np.uint32) << 16).view(np.float32)


class Weights(Mapping[str, Float32]):
    """Every tensor of `directory`/*.safetensors by name. Raises UnusableCheckpoint, for fp16 too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.paths = sorted(directory.glob("*.safetensors"))
        if not self.paths:
            raise UnusableCheckpoint(f"{directory}: no *.safetensors file.")
        self._stored = {name: stored for path in self.paths for name, stored in _stored(path)}

    def __getitem__(self, name: str) -> Float32:
        return self._stored[name].array()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._stored[name].shape

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


def int8_rows(matrix: Float32) -> tuple[NDArray[np.int8], Float32]:
    """[N, K] as int8, and scales [N]: a row's largest magnitude / 127. Groups would cost memory and time."""
    scales = np.abs(matrix).max(axis=1) / np.float32(127.0)
    scales[scales == 0.0] = 1.0
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


def _stored(path: Path) -> Iterator[tuple[str, _Stored]]:
    start, entries = _header(path)
    room = path.stat().st_size - start
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] == "F16":
            raise UnusableCheckpoint(
                f"{path}: {name} is fp16. This model's activations overflow in fp16 and its speech turns into noise; "
                "save the weights as bf16 or fp32."
            )
        if entry["dtype"] not in ("F32", "BF16"):
            raise UnusableCheckpoint(f"{path}: {name} is {entry['dtype']}, not fp32 or bf16.")
        if entry["data_offsets"][1] > room:
            raise UnusableCheckpoint(f"{path}: {name} is cut off.")
        yield name, _Stored(path, entry["dtype"], tuple(entry["shape"]), start + entry["data_offsets"][0])


def _header(path: Path) -> tuple[int, dict[str, _Entry]]:
    """Offset of the first tensor byte, and the header."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            return _LENGTH_BYTES + length, json.loads(file.read(length))
    except (OSError, ValueError, OverflowError, MemoryError) as exc:
        raise UnusableCheckpoint(f"{path}: not a safetensors file ({exc}).") from exc
