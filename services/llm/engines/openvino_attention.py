"""The inputs of the graph, and its attention over all that came before."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as ops

from services.llm.checkpoint import LlmConfig
from services.llm.engines.openvino_constants import floats, ints


@dataclass(frozen=True)
class Inputs:
    """ids, mask and positions [B, S]; beams [B]; drawn [N]: the rows of B whose scores are wanted. Where attention is
    paged, a token is a row.
    """

    ids: Node
    mask: Node
    positions: Node
    beams: Node
    drawn: Node

    @classmethod
    def make(cls) -> "Inputs":
        return cls(
            _parameter("input_ids", [-1, -1], np.int64),
            _parameter("attention_mask", [-1, -1], np.int64),
            _parameter("position_ids", [-1, -1], np.int64),
            _parameter("beam_idx", [-1], np.int32),
            _parameter("sampled_tokens_indices", [-1], np.int64),
        )

    @property
    def parameters(self) -> list[Node]:
        return [self.ids, self.mask, self.positions, self.beams, self.drawn]


@dataclass(frozen=True)
class Attention:
    """What all layers share, and the states that they leave behind in `sinks`."""

    config: LlmConfig
    inputs: Inputs
    rotate: Callable[[Node], Node]
    causal: Node
    sinks: list[Node]

    @classmethod
    def make(cls, config: LlmConfig, inputs: Inputs) -> "Attention":
        return cls(config, inputs, _rotary(config, inputs.positions), _causal(inputs), [])

    def attend(self, layer: str, query: Node, key: Node, value: Node) -> Node:
        """[B, S, D] projections -> [B, S, D]."""
        heads, key_heads = self.config.num_attention_heads, self.config.num_key_value_heads
        attended = ops.scaled_dot_product_attention(
            self.rotate(self._heads(query, heads)),
            self._remembered(f"{layer}.key", self.rotate(self._heads(key, key_heads))),
            self._remembered(f"{layer}.value", self._heads(value, key_heads)),
            self.causal,
        )
        merged = ops.transpose(attended, ints([0, 2, 1, 3]))
        return ops.reshape(merged, ints([0, 0, heads * self.config.head_size]), special_zero=True)

    def _heads(self, value: Node, heads: int) -> Node:
        split = ops.reshape(value, ints([0, 0, heads, self.config.head_size]), special_zero=True)
        return ops.transpose(split, ints([0, 2, 1, 3]))

    def _remembered(self, name: str, new: Node) -> Node:
        """All keys or values so far, [B, key heads, S, E] -> repeated to [B, H, S, E]."""
        key_heads, size = self.config.num_key_value_heads, self.config.head_size
        batch = ops.gather(ops.shape_of(self.inputs.ids, "i64"), ints([0]), ints(0))
        empty = ops.broadcast(floats(0.0), ops.concat([batch, ints([key_heads, 0, size])], 0))
        state = ops.read_value(empty, name, ov.Type.f32, ov.PartialShape([-1, key_heads, -1, size]))
        whole = ops.concat([ops.gather(state, self.inputs.beams, ints(0)), new], 2)
        self.sinks.append(ops.assign(whole, name))
        return self._repeated(whole)

    def _repeated(self, value: Node) -> Node:
        heads, key_heads = self.config.num_attention_heads, self.config.num_key_value_heads
        if heads == key_heads:
            return value
        grouped = ops.unsqueeze(value, ints(2))
        shape = ops.shape_of(grouped, "i64")
        outer, inner = (ops.gather(shape, ints(axes), ints(0)) for axes in ([0, 1], [3, 4]))
        repeated = ops.broadcast(grouped, ops.concat([outer, ints([heads // key_heads]), inner], 0), "BIDIRECTIONAL")
        return ops.reshape(repeated, ints([0, heads, -1, self.config.head_size]), special_zero=True)


def _rotary(config: LlmConfig, positions: Node) -> Callable[[Node], Node]:
    """Rotary embedding of [B, H, S, E], halves rotated as in transformers' rotate_half."""
    size = config.head_size
    frequencies = config.rope_theta ** -(np.arange(0, size, 2) / size)
    angles = ops.matmul(
        ops.convert(ops.unsqueeze(positions, ints(2)), "f32"), floats(frequencies[None, None]), False, False
    )
    both = ops.unsqueeze(ops.concat([angles, angles], -1), ints(1))
    cosine, sine = ops.cos(both), ops.sin(both)

    def rotate(heads: Node) -> Node:
        first = ops.slice(heads, ints([0]), ints([size // 2]), ints([1]), ints([3]))
        second = ops.slice(heads, ints([size // 2]), ints([size]), ints([1]), ints([3]))
        turned = ops.concat([ops.multiply(second, floats(-1.0)), first], -1)
        return ops.add(ops.multiply(heads, cosine), ops.multiply(turned, sine))

    return rotate


def _causal(inputs: Inputs) -> Node:
    """[B, 1, S, all]: 0 up to the token's own position, then very negative."""
    length = ops.gather(ops.shape_of(inputs.mask, "i64"), ints(1), ints(0))
    places = ops.unsqueeze(ops.range(ints(0), length, ints(1), "i64"), ints([0, 1, 2]))
    seen = ops.less_equal(places, ops.unsqueeze(ops.unsqueeze(inputs.positions, ints(1)), ints(3)))
    return ops.select(seen, floats(0.0), floats(float(np.finfo(np.float16).min)))


def _parameter(name: str, shape: list[int], kind: type[np.generic]) -> Node:
    parameter = ops.parameter(shape, kind)
    parameter.set_friendly_name(name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter
