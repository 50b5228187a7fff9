"""Qwen2 as an OpenVINO graph, built straight from its weights: 60 ms for the small voice, and no other format between.

The shape of the graph is what OpenVINO's SDPAToPagedAttention pass looks for: a state per key and value, gathered by
`beam_idx`, concatenated, repeated over its query heads, into ScaledDotProductAttention. [B, S, D] hidden states,
[B, H, S, E] heads, [B, S, V] logits.
"""

from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as ops

from services.llm.checkpoint import LlmConfig
from services.llm.engines.openvino_attention import Attention, Inputs
from services.llm.engines.openvino_constants import floats, ints
from services.llm.engines.openvino_layers import Layers

# A logit that no temperature brings back and no penalty turns into infinity.
NEVER = -1e9


@dataclass(frozen=True)
class Qwen2Graph:
    """Only `allowed` ids get a logit, and the head of `layers` has only their rows; the others are NEVER."""

    config: LlmConfig
    embeddings: Node
    layers: Layers
    allowed: tuple[int, ...]

    def build(self) -> ov.Model:
        inputs = Inputs.make()
        attention = Attention.make(self.config, inputs)
        hidden = ops.gather(self.embeddings, inputs.ids, ints(0))
        projections = self.layers.project(0, hidden)
        for layer in range(self.config.num_hidden_layers):
            attended = attention.attend(f"model.layers.{layer}", *projections)
            hidden, projections = self.layers.leave(layer, attended, hidden)
        drawn = ops.gather(hidden, inputs.drawn, ints(0))
        logits = ops.result(self._logits(*self.layers.project(self.config.num_hidden_layers, drawn)))
        logits.output(0).get_tensor().set_names({"logits"})
        return ov.Model([logits], attention.sinks, inputs.parameters, "qwen2")

    def _logits(self, scores: Node) -> Node:
        """[B, S, allowed] -> [B, S, V]."""
        first, last, vocabulary = self.allowed[0], self.allowed[-1], self.config.vocab_size
        if last - first + 1 == len(self.allowed):
            never = floats(NEVER)
            return ops.pad(scores, ints([0, 0, first]), ints([0, 0, vocabulary - 1 - last]), "constant", never)
        return self._scatter(scores)

    def _scatter(self, scores: Node) -> Node:
        """Allowed ids with gaps between: one more column that is NEVER, taken by every id that is not allowed."""
        columns = np.full(self.config.vocab_size, len(self.allowed), np.int64)
        columns[list(self.allowed)] = np.arange(len(self.allowed))
        padded = ops.pad(scores, ints([0, 0, 0]), ints([0, 0, 1]), "constant", floats(NEVER))
        return ops.gather(padded, ops.constant(columns), ints(2))
