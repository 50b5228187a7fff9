"""A checkpoint in 8 bits, in the order of qwen2.cpp."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.llm.checkpoint import LlmConfig, load_config
from services.llm.engines.conversion import converted
from services.llm.engines.engine import EngineModel
from services.llm.qwen2_tensors import EMBEDDINGS, head
from services.llm.weights import Float32, Weights, int8_rows

Bytes = NDArray[np.uint8]

# To be raised with every change to what is packed.
_FORMAT = 1
# Rows of a matrix that stand together, and activations that share a scale.
_BLOCK = _GROUP = 32
_KEYS = 16
_ZERO = 128


@dataclass(frozen=True)
class Packed:
    """`matrices`: all of the layers and of the head; `embeddings` [V, D] int8, `scales` [V]."""

    config: LlmConfig
    matrices: Bytes
    embeddings: NDArray[np.int8]
    scales: Float32


def fits(config: LlmConfig) -> bool:
    """Whether qwen2.cpp can compute it."""
    widths = (config.hidden_size, config.num_attention_heads * config.head_size, config.intermediate_size)
    return config.head_size % _KEYS == 0 and all(width % _GROUP == 0 for width in widths)


def packed(model: EngineModel, cache: Path) -> Packed:
    """Mapped from `cache`. Raises UnusableCheckpoint, OSError."""
    config, weights = load_config(model.directory), Weights(model.directory)

    def pack(path: Path) -> None:
        with path.open("wb") as file:
            for part in _parts(model, config, weights):
                np.ascontiguousarray(part).tofile(file)

    whole = np.memmap(converted(model, cache, "llm-int8", {"format": _FORMAT}, pack), np.uint8, "r")
    vocabulary, width = weights.shape(EMBEDDINGS)
    scales, embeddings = whole[: 4 * vocabulary], whole[4 * vocabulary :][: vocabulary * width]
    return Packed(config, whole[len(scales) + len(embeddings) :], embeddings.view(np.int8), scales.view(np.float32))


def _parts(model: EngineModel, config: LlmConfig, weights: Weights) -> Iterator[Bytes]:
    embeddings, scales = int8_rows(weights[EMBEDDINGS])
    yield _bytes(scales)
    yield embeddings.view(np.uint8)
    for layer in range(config.num_hidden_layers):
        yield from _layer(weights, f"model.layers.{layer}")
    yield _bytes(weights["model.norm.weight"])
    yield _blocks(head(weights)[list(model.allowed)])


def _layer(weights: Weights, layer: str) -> Iterator[Bytes]:
    yield _bytes(weights[f"{layer}.input_layernorm.weight"])
    names = [f"{layer}.self_attn.{part}_proj" for part in "qkv"]
    biases = np.concatenate([weights[f"{name}.bias"] for name in names])
    yield _blocks(np.concatenate([weights[f"{name}.weight"] for name in names]), biases)
    yield _blocks(weights[f"{layer}.self_attn.o_proj.weight"])
    yield _bytes(weights[f"{layer}.post_attention_layernorm.weight"])
    gate, up = (_blocks(weights[f"{layer}.mlp.{part}_proj.weight"]) for part in ("gate", "up"))
    yield np.stack([gate, up], axis=1)
    yield _blocks(weights[f"{layer}.mlp.down_proj.weight"])


def _blocks(matrix: Float32, biases: Float32 | None = None) -> Bytes:
    """[N, K], [N] -> [blocks, bytes]."""
    rows, scales = int8_rows(matrix)
    missing = -len(matrix) % _BLOCK
    codes = np.pad((rows.astype(np.int16) + _ZERO).astype(np.uint8), ((0, missing), (0, 0)))
    columns = codes.reshape(-1, _BLOCK, matrix.shape[1] // 4, 4).transpose(0, 2, 1, 3)
    added = np.zeros(len(matrix), np.float32) if biases is None else biases
    floats = [_bytes(np.pad(each, (0, missing)).reshape(-1, _BLOCK)) for each in (scales, added)]
    return np.concatenate([columns.reshape(len(columns), -1), *floats], axis=1)


def _bytes(values: Float32) -> Bytes:
    return np.ascontiguousarray(values, np.float32).view(np.uint8)
