"""Qwen2 as an OpenVINO graph, built straight from its weights: 60 ms for the small voice, and no other format between.

The shape of the graph is what OpenVINO's SDPAToPagedAttention pass looks for: a state per key and value, gathered by
`beam_idx`, concatenated, repeated over its query heads, into ScaledDotProductAttention. [B, S, D] hidden states,
[B, H, S, E] heads, [B, S, V] logits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import ArrayLike
from openvino import Node
from openvino import opset13 as ops

from services.llm.checkpoint import LlmConfig
from services.llm.engines.openvino_precision import PRECISIONS
from services.llm.weights import Float32, Weights

# A logit that no temperature brings back and no penalty turns into infinity.
NEVER = -1e9


@dataclass(frozen=True)
class Qwen2Graph:
    """Only `allowed` ids get a logit, and only their rows of the head are multiplied; the others are NEVER."""

    config: LlmConfig
    weights: Weights
    precision: str
    allowed: tuple[int, ...]

    def build(self) -> ov.Model:
        inputs = _Inputs.make()
        hidden = ops.gather(self._matrix("model.embed_tokens.weight"), inputs.ids, _ints(0))
        attention = _Attention.make(self.config, inputs)
        for layer in range(self.config.num_hidden_layers):
            hidden = self._layer(f"model.layers.{layer}", hidden, attention)
        logits = ops.result(self._head(self._norm("model.norm", hidden)))
        logits.output(0).get_tensor().set_names({"logits"})
        return ov.Model([logits], attention.sinks, inputs.parameters, "qwen2")

    def _layer(self, name: str, hidden: Node, attention: "_Attention") -> Node:
        normed = self._norm(f"{name}.input_layernorm", hidden)
        query, key, value = (self._linear(f"{name}.self_attn.{part}_proj", normed) for part in "qkv")
        attended = attention.attend(name, query, key, value)
        hidden = ops.add(hidden, self._linear(f"{name}.self_attn.o_proj", attended))
        normed = self._norm(f"{name}.post_attention_layernorm", hidden)
        gate, up = (self._linear(f"{name}.mlp.{part}_proj", normed) for part in ("gate", "up"))
        return ops.add(hidden, self._linear(f"{name}.mlp.down_proj", ops.multiply(ops.swish(gate), up)))

    def _head(self, hidden: Node) -> Node:
        tied = "lm_head.weight" not in self.weights
        rows = self.weights["model.embed_tokens.weight" if tied else "lm_head.weight"][list(self.allowed)]
        logits = ops.matmul(hidden, PRECISIONS[self.precision](rows), False, True)
        first, last, vocabulary = self.allowed[0], self.allowed[-1], self.config.vocab_size
        if last - first + 1 == len(self.allowed):
            never = _floats(NEVER)
            return ops.pad(logits, _ints([0, 0, first]), _ints([0, 0, vocabulary - 1 - last]), "constant", never)
        return self._scatter(logits)

    def _scatter(self, logits: Node) -> Node:
        """Allowed ids with gaps between: one more column that is NEVER, taken by every id that is not allowed."""
        columns = np.full(self.config.vocab_size, len(self.allowed), np.int64)
        columns[list(self.allowed)] = np.arange(len(self.allowed))
        padded = ops.pad(logits, _ints([0, 0, 0]), _ints([0, 0, 1]), "constant", _floats(NEVER))
        return ops.gather(padded, ops.constant(columns), _ints(2))

    def _linear(self, name: str, value: Node) -> Node:
        product = ops.matmul(value, self._matrix(f"{name}.weight"), False, True)
        bias = f"{name}.bias"
        return ops.add(product, _floats(self.weights[bias][None, None])) if bias in self.weights else product

    def _matrix(self, name: str) -> Node:
        return PRECISIONS[self.precision](self.weights[name])

    def _norm(self, name: str, value: Node) -> Node:
        """RMS norm over the last axis."""
        mean = ops.reduce_mean(ops.power(value, _floats(2.0)), _ints([-1]), keep_dims=True)
        scale = ops.divide(_floats(1.0), ops.sqrt(ops.add(mean, _floats(self.config.rms_norm_eps))))
        return ops.multiply(ops.multiply(value, scale), _floats(self.weights[f"{name}.weight"][None, None]))


@dataclass(frozen=True)
class _Inputs:
    """ids, mask and positions [B, S]; beams [B]."""

    ids: Node
    mask: Node
    positions: Node
    beams: Node

    @classmethod
    def make(cls) -> "_Inputs":
        return cls(
            _parameter("input_ids", [-1, -1], np.int64),
            _parameter("attention_mask", [-1, -1], np.int64),
            _parameter("position_ids", [-1, -1], np.int64),
            _parameter("beam_idx", [-1], np.int32),
        )

    @property
    def parameters(self) -> list[Node]:
        return [self.ids, self.mask, self.positions, self.beams]


@dataclass(frozen=True)
class _Attention:
    """What all layers share, and the states that they leave behind in `sinks`."""

    config: LlmConfig
    inputs: _Inputs
    rotate: Callable[[Node], Node]
    causal: Node
    sinks: list[Node]

    @classmethod
    def make(cls, config: LlmConfig, inputs: _Inputs) -> "_Attention":
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
        merged = ops.transpose(attended, _ints([0, 2, 1, 3]))
        return ops.reshape(merged, _ints([0, 0, heads * self.config.head_size]), special_zero=True)

    def _heads(self, value: Node, heads: int) -> Node:
        split = ops.reshape(value, _ints([0, 0, heads, self.config.head_size]), special_zero=True)
        return ops.transpose(split, _ints([0, 2, 1, 3]))

    def _remembered(self, name: str, new: Node) -> Node:
        """All keys or values so far, [B, key heads, S, E] -> repeated to [B, H, S, E]."""
        key_heads, size = self.config.num_key_value_heads, self.config.head_size
        batch = ops.gather(ops.shape_of(self.inputs.ids, "i64"), _ints([0]), _ints(0))
        empty = ops.broadcast(_floats(0.0), ops.concat([batch, _ints([key_heads, 0, size])], 0))
        state = ops.read_value(empty, name, ov.Type.f32, ov.PartialShape([-1, key_heads, -1, size]))
        whole = ops.concat([ops.gather(state, self.inputs.beams, _ints(0)), new], 2)
        self.sinks.append(ops.assign(whole, name))
        return self._repeated(whole)

    def _repeated(self, value: Node) -> Node:
        heads, key_heads = self.config.num_attention_heads, self.config.num_key_value_heads
        if heads == key_heads:
            return value
        grouped = ops.unsqueeze(value, _ints(2))
        shape = ops.shape_of(grouped, "i64")
        outer, inner = (ops.gather(shape, _ints(axes), _ints(0)) for axes in ([0, 1], [3, 4]))
        repeated = ops.broadcast(grouped, ops.concat([outer, _ints([heads // key_heads]), inner], 0), "BIDIRECTIONAL")
        return ops.reshape(repeated, _ints([0, heads, -1, self.config.head_size]), special_zero=True)


def _rotary(config: LlmConfig, positions: Node) -> Callable[[Node], Node]:
    """Rotary embedding of [B, H, S, E], halves rotated as in transformers' rotate_half."""
    size = config.head_size
    frequencies = config.rope_theta ** -(np.arange(0, size, 2) / size)
    angles = ops.matmul(
        ops.convert(ops.unsqueeze(positions, _ints(2)), "f32"), _floats(frequencies[None, None]), False, False
    )
    both = ops.unsqueeze(ops.concat([angles, angles], -1), _ints(1))
    cosine, sine = ops.cos(both), ops.sin(both)

    def rotate(heads: Node) -> Node:
        first = ops.slice(heads, _ints([0]), _ints([size // 2]), _ints([1]), _ints([3]))
        second = ops.slice(heads, _ints([size // 2]), _ints([size]), _ints([1]), _ints([3]))
        turned = ops.concat([ops.multiply(second, _floats(-1.0)), first], -1)
        return ops.add(ops.multiply(heads, cosine), ops.multiply(turned, sine))

    return rotate


def _causal(inputs: _Inputs) -> Node:
    """[B, 1, S, all]: 0 up to the token's own position, then very negative."""
    length = ops.gather(ops.shape_of(inputs.mask, "i64"), _ints(1), _ints(0))
    places = ops.unsqueeze(ops.range(_ints(0), length, _ints(1), "i64"), _ints([0, 1, 2]))
    seen = ops.less_equal(places, ops.unsqueeze(ops.unsqueeze(inputs.positions, _ints(1)), _ints(3)))
    return ops.select(seen, _floats(0.0), _floats(float(np.finfo(np.float16).min)))


def _parameter(name: str, shape: list[int], kind: type[np.generic]) -> Node:
    parameter = ops.parameter(shape, kind)
    parameter.set_friendly_name(name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter


def _ints(values: ArrayLike) -> Node:
    return ops.constant(np.asarray(values, np.int64))


def _floats(values: "ArrayLike | Float32") -> Node:
    return ops.constant(np.asarray(values, np.float32))
