"""Qwen2 for vllm whose output layer knows only the ids that may be drawn.

vllm finds it by name in every process that it starts, through this project's entry point `vllm.general_plugins`. The
published Spark-TTS draws 13 thousand of 166 thousand ids: vllm's own `allowed_token_ids` takes at most 1024 of them
(its V2 model runner), and masks after the whole product.
"""

from collections.abc import Iterable

import torch
from torch.nn.functional import linear
from vllm import ModelRegistry
from vllm.config import VllmConfig
from vllm.model_executor.models.qwen2 import Qwen2ForCausalLM

from services.llm.engines.vllm_settings import ALLOWED_SPANS, ARCHITECTURE


def register() -> None:
    """The entry point."""
    ModelRegistry.register_model(ARCHITECTURE, RestrictedQwen2)


class RestrictedQwen2(Qwen2ForCausalLM):  # type: ignore[misc]
    """Draws what the config's `ALLOWED_SPANS` [[first, end], ...] holds; every other id gets -inf."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        if vllm_config.parallel_config.world_size != 1:
            raise ValueError("The restricted output layer is not split over devices: scale by replicas.")
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self._spans = [range(*span) for span in getattr(self.config, ALLOWED_SPANS)]
        self._ids = torch.tensor([token for span in self._spans for token in span])
        self._rows = torch.empty(0)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Rows [A, C] of one span are a view of the output layer, which may be the embedding; others are copied once.
        Rows beyond the vocabulary, with which vllm pads the layer, are in no span.
        """
        loaded: set[str] = super().load_weights(weights)
        rows = self.lm_head.weight.data
        first = self._spans[0]
        self._rows = rows[first.start : first.stop] if len(self._spans) == 1 else rows[self._ids]
        return loaded

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """[N, C] -> [N, vocabulary]."""
        drawable = linear(hidden_states, self._rows)
        logits = drawable.new_full((len(drawable), self.config.vocab_size), float("-inf"))
        return logits.index_copy_(1, self._ids, drawable)
