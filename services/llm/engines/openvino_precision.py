"""How a weight matrix is kept in the graph, by name. Every form is multiplied back to float32 where it is used."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as ops

from services.llm.weights import Float32

# Values that share a scale, as in llama.cpp's q8_0 and q4_0.
_GROUP = 32


def _f32(weight: Float32) -> Node:
    return ops.constant(np.ascontiguousarray(weight))


def _bf16(weight: Float32) -> Node:
    return ops.convert(ops.constant(np.ascontiguousarray(weight), dtype=ov.Type.bf16), "f32")


def _q8_0(weight: Float32) -> Node:
    """[out, in] as int8 in groups of 32 along `in`; scale: largest magnitude / 127."""
    groups, scales = _scaled(weight, 127.0)
    return _rescaled(ops.constant(groups.astype(np.int8)), scales, weight.shape)


def _q4_0(weight: Float32) -> Node:
    """[out, in] as int4 in groups of 32 along `in`; scale: largest magnitude / 7."""
    groups, scales = _scaled(weight, 7.0)
    nibbles = groups.astype(np.int8).reshape(-1, 2) & 0xF
    packed = (nibbles[:, 0] | nibbles[:, 1] << 4).astype(np.uint8)
    tensor = ov.Tensor(packed, ov.Shape(list(groups.shape)), ov.Type.i4)
    return _rescaled(ov.op.Constant(tensor, shared_memory=False), scales, weight.shape)


PRECISIONS: Mapping[str, Callable[[Float32], Node]] = {"f32": _f32, "bf16": _bf16, "q8_0": _q8_0, "q4_0": _q4_0}


def _scaled(weight: Float32, steps: float) -> tuple[Float32, Float32]:
    """[out, groups, 32] rounded to integers, and the scales [out, groups, 1]; smaller groups where 32 does not fit."""
    groups = weight.reshape(weight.shape[0], -1, math.gcd(_GROUP, weight.shape[1]))
    scales = np.abs(groups).max(axis=-1, keepdims=True) / steps
    scales[scales == 0.0] = 1.0
    return np.rint(groups / scales), scales


def _rescaled(integers: Node, scales: Float32, shape: tuple[int, ...]) -> Node:
    values = ops.multiply(ops.convert(integers, "f32"), ops.constant(scales))
    return ops.reshape(values, ops.constant(np.array(shape, np.int64)), special_zero=False)
