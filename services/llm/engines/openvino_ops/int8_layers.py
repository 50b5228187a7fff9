"""Layers of our own operation. The order of its weights: int8_layer.cpp."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset13 as ops
from openvino.utils.node_factory import NodeFactory

from services.llm.engines.openvino_layers import LayerWeights
from services.llm.engines.openvino_precision import int8_rows
from services.llm.weights import Float32, Weights

Bytes = NDArray[np.uint8]

# Rows of a matrix that stand together, and activations that share a scale.
_BLOCK = _GROUP = 32
_ZERO = 128


def fits(weights: Weights) -> bool:
    """Whether the operation can multiply all matrices of a checkpoint."""
    return all(len(weights.shape(name)) == 1 or weights.shape(name)[1] % _GROUP == 0 for name in weights)


@dataclass(frozen=True)
class Int8Layers:
    """`lanes`: of the CPU's vectors, 16 or 8; 0: as many as it has."""

    weights: LayerWeights
    library: Path
    lanes: int = 0
    _nodes: NodeFactory = field(default_factory=lambda: NodeFactory("opset13"), init=False)

    def __post_init__(self) -> None:
        self._nodes.add_extension(str(self.library))

    def project(self, layer: int, hidden: Node) -> Sequence[Node]:
        return self._node([], layer, [hidden], 0)

    def leave(self, layer: int, attended: Node, hidden: Node) -> tuple[Node, Sequence[Node]]:
        output, gate, up, down = (
            _blocks(*self.weights.linear(layer, name))
            for name in ("self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
        )
        norm, pairs = _bytes(self.weights.mlp_norm(layer)), np.stack([gate, up], axis=1)
        middle = self.weights.config.intermediate_size
        following = None if self.weights.last(layer) else layer + 1
        hidden, *projections = self._node([output, norm, pairs, down], following, [hidden, attended], middle)
        return hidden, projections

    def _node(self, before: Sequence[Bytes], layer: int | None, values: Sequence[Node], middle: int) -> Sequence[Node]:
        """What comes before the projections of `layer`, if there is one, and they themselves."""
        projections = [] if layer is None else self.weights.projections(layer)
        norm = [] if layer is None else [_bytes(self.weights.attention_norm(layer))]
        weights = [*before, *norm, *(_blocks(*each) for each in projections)]
        constant = ops.constant(np.concatenate([each.reshape(-1) for each in weights]))
        attributes = {
            "widths": [len(matrix) for matrix, _ in projections],
            "middle": middle,
            "epsilon": self.weights.config.rms_norm_eps,
            "lanes": self.lanes,
        }
        node = self._nodes.create("Int8Layer", [values[0], constant, *values[1:]], attributes)
        # Operations take one of many outputs as they take a node; their types do not say so.
        return cast(list[Node], node.outputs())


def _blocks(matrix: Float32, bias: Float32 | None) -> Bytes:
    """[N, K], [N] -> [blocks, bytes]."""
    rows, scales = int8_rows(matrix)
    missing = -len(matrix) % _BLOCK
    codes = np.pad((rows.astype(np.int16) + _ZERO).astype(np.uint8), ((0, missing), (0, 0)))
    columns = codes.reshape(-1, _BLOCK, matrix.shape[1] // 4, 4).transpose(0, 2, 1, 3)
    biases = np.zeros(len(matrix), np.float32) if bias is None else bias
    floats = [_bytes(np.pad(each, (0, missing)).reshape(-1, _BLOCK)) for each in (scales[:, 0], biases)]
    return np.concatenate([columns.reshape(len(columns), -1), *floats], axis=1)


def _bytes(values: Float32) -> Bytes:
    return np.ascontiguousarray(values, np.float32).view(np.uint8)
