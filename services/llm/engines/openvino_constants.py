"""Constants of a graph."""

import numpy as np
from numpy.typing import ArrayLike
from openvino import Node
from openvino import opset13 as ops


def ints(values: ArrayLike) -> Node:
    return ops.constant(np.asarray(values, np.int64))


def floats(values: ArrayLike) -> Node:
    return ops.constant(np.asarray(values, np.float32))
