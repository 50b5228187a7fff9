"""Qwen2 for vllm, with an output layer that knows only the ids that may be drawn.

vllm finds it by name in every process that it starts, through this project's entry point `vllm.general_plugins`. The
published Spark-TTS draws 13 thousand of 166 thousand ids: vllm's own `allowed_token_ids` takes at most 1024 of them
(its V2 model runner), and masks after the whole product.
"""

from collections.abc import Iterable

import torch
from vllm import ModelRegistry
from vllm.config import VllmConfig
from vllm.model_executor.models.qwen2 import Qwen2ForCausalLM

from services.llm.engines.restricted_head import RestrictedHead
from services.llm.engines.vllm_settings import ALLOWED_SPANS, ARCHITECTURE


def register() -> None:
    """The entry point."""
    ModelRegistry.register_model(ARCHITECTURE, RestrictedQwen2)


# Its base is Any where types are checked: vllm is not installed there.
class RestrictedQwen2(Qwen2ForCausalLM):  # type: ignore[misc]
    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        if vllm_config.parallel_config.world_size != 1:
            raise ValueError("The restricted output layer is not split over devices: scale by replicas.")
        super().__init__(vllm_config=vllm_config, prefix=prefix)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """The output layer may be the embedding, and vllm pads it with rows beyond the vocabulary."""
        loaded: set[str] = super().load_weights(weights)
        spans = getattr(self.config, ALLOWED_SPANS)
        self._head = RestrictedHead(self.lm_head.weight.data, spans, self.config.vocab_size)
        return loaded

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """[N, C] -> [N, vocabulary]."""
        return self._head(hidden_states)
