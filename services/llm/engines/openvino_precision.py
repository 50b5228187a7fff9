"""How a weight matrix is kept in the graph, by name. Every form is multiplied back to float32 where it is used."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as ops

from services.llm.weights import Float32, int8_rows

# Values that share a scale, as in llama.cpp's q4_0.
_GROUP = 32


def _f32(weight: Float32) -> Node:
    return ops.constant(np.ascontiguousarray(weight))


def _bf16(weight: Float32) -> Node:
    return ops.convert(ops.constant(np.ascontiguousarray(weight), dtype=ov.Type.bf16), "f32")


def _int8(weight: Float32) -> Node:
    rows, scales = int8_rows(weight)
    return ops.multiply(ops.convert(ops.constant(rows), "f32"), ops.constant(scales[:, None]))


def _q4_0(weight: Float32) -> Node:
    """[out, in] as int4 in groups of 32 along `in`, or smaller ones where 32 does not fit; a group's scale: its largest
    magnitude / 7.
    """
    groups, scales = _scaled(weight.reshape(weight.shape[0], -1, math.gcd(_GROUP, weight.shape[1])), 7.0)
    nibbles = groups.astype(np.int8).reshape(-1, 2) & 0xF
    packed = (nibbles[:, 0] | nibbles[:, 1] << 4).astype(np.uint8)
    tensor = ov.Tensor(packed, ov.Shape(list(groups.shape)), ov.Type.i4)
    integers = ops.convert(ov.op.Constant(tensor, shared_memory=False), "f32")
    shape = ops.constant(np.array(weight.shape, np.int64))
    return ops.reshape(ops.multiply(integers, ops.constant(scales)), shape, special_zero=False)


PRECISIONS: Mapping[str, Callable[[Float32], Node]] = {"f32": _f32, "bf16": _bf16, "int8": _int8, "q4_0": _q4_0}


def _scaled(values: Float32, steps: float) -> tuple[Float32, Float32]:
    """[..., N] rounded to integers, and the scales [..., 1]."""
    scales = np.abs(values).max(axis=-1, keepdims=True) / steps
    scales[scales == 0.0] = 1.0
    return np.rint(values / scales), scales
