"""What a transformer computes between its attentions."""

from collections.abc import Sequence
from dataclasses import dataclass

from openvino import Node
from openvino import opset13 as ops

from services.llm.checkpoint import LlmConfig, load_config
from services.llm.engines.engine import EngineModel
from services.llm.engines.openvino_constants import floats, ints
from services.llm.engines.openvino_precision import PRECISIONS
from services.llm.qwen2_tensors import head
from services.llm.weights import Float32, Weights


@dataclass(frozen=True)
class LayerWeights:
    """Of a checkpoint; `head` [N, D]: the rows of the ids that may be drawn."""

    config: LlmConfig
    weights: Weights
    head: Float32

    @classmethod
    def read(cls, model: EngineModel) -> "LayerWeights":
        """Raises UnusableCheckpoint."""
        weights = Weights(model.directory)
        return cls(load_config(model.directory), weights, head(weights)[list(model.allowed)])

    def last(self, layer: int) -> bool:
        return layer + 1 == self.config.num_hidden_layers

    def projections(self, layer: int) -> list[tuple[Float32, Float32 | None]]:
        """Matrices [N, D] and biases [N]."""
        if layer == self.config.num_hidden_layers:
            return [(self.head, None)]
        return [self.linear(layer, f"self_attn.{part}_proj") for part in "qkv"]

    def linear(self, layer: int, name: str) -> tuple[Float32, Float32 | None]:
        name = f"model.layers.{layer}.{name}"
        return self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")

    def attention_norm(self, layer: int) -> Float32:
        """What stands before the projections, [D]."""
        last = layer == self.config.num_hidden_layers
        return self.weights["model.norm.weight" if last else f"model.layers.{layer}.input_layernorm.weight"]

    def mlp_norm(self, layer: int) -> Float32:
        return self.weights[f"model.layers.{layer}.post_attention_layernorm.weight"]


@dataclass(frozen=True)
class Layers:
    """Hidden states are [B, S, D]. Projections: queries, keys and values of a layer, or behind the last one the scores
    of the head's rows.
    """

    weights: LayerWeights
    precision: str

    def project(self, layer: int, hidden: Node) -> Sequence[Node]:
        normed = self._norm(self.weights.attention_norm(layer), hidden)
        return [self._multiply(*linear, normed) for linear in self.weights.projections(layer)]

    def leave(self, layer: int, attended: Node, hidden: Node) -> tuple[Node, Sequence[Node]]:
        hidden = ops.add(hidden, self._linear(layer, "self_attn.o_proj", attended))
        normed = self._norm(self.weights.mlp_norm(layer), hidden)
        gate, up = (self._linear(layer, f"mlp.{part}_proj", normed) for part in ("gate", "up"))
        hidden = ops.add(hidden, self._linear(layer, "mlp.down_proj", ops.multiply(ops.swish(gate), up)))
        return hidden, [] if self.weights.last(layer) else self.project(layer + 1, hidden)

    def _linear(self, layer: int, name: str, value: Node) -> Node:
        return self._multiply(*self.weights.linear(layer, name), value)

    def _multiply(self, matrix: Float32, bias: Float32 | None, value: Node) -> Node:
        product = ops.matmul(value, PRECISIONS[self.precision](matrix), False, True)
        return product if bias is None else ops.add(product, floats(bias[None, None]))

    def _norm(self, weight: Float32, value: Node) -> Node:
        """RMS norm over the last axis."""
        mean = ops.reduce_mean(ops.power(value, floats(2.0)), ints([-1]), keep_dims=True)
        scale = ops.divide(floats(1.0), ops.sqrt(ops.add(mean, floats(self.weights.config.rms_norm_eps))))
        return ops.multiply(ops.multiply(value, scale), floats(weight[None, None]))
