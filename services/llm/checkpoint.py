"""The LLM half of a checkpoint directory: config.json, checked. The weights are `services.llm.weights`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Size = Annotated[int, Field(gt=0)]


class UnusableCheckpoint(Exception):
    """The files are missing, broken or of a kind that we do not serve; the message says which and why."""


class LlmConfig(BaseModel):
    """config.json of a Qwen2 model, as transformers writes it (either generation of its rope keys)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_type: str
    vocab_size: Size
    max_position_embeddings: Size
    eos_token_id: int | list[int]
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    num_key_value_heads: Size
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: dict[str, Any] | None = None
    use_sliding_window: bool = False
    hidden_act: str = "silu"

    @model_validator(mode="before")
    @classmethod
    def _rope_of_transformers_5(cls, data: dict[str, Any]) -> dict[str, Any]:
        """transformers 5 moved rope_theta into rope_parameters; rope_type "default" is no scaling."""
        rope = data.get("rope_parameters") or {}
        scaling = data.get("rope_scaling") or (rope if rope.get("rope_type", "default") != "default" else None)
        return {**data, "rope_theta": rope.get("rope_theta", data.get("rope_theta")), "rope_scaling": scaling}

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def end_ids(self) -> frozenset[int]:
        ids = self.eos_token_id
        return frozenset([ids] if isinstance(ids, int) else ids)


def load_config(directory: Path) -> LlmConfig:
    """Reads `directory`/config.json; raises UnusableCheckpoint."""
    path = directory / "config.json"
    try:
        config = LlmConfig.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise UnusableCheckpoint(f"{path}: {exc}") from exc
    if config.model_type != "qwen2" or config.use_sliding_window or config.rope_scaling or config.hidden_act != "silu":
        raise UnusableCheckpoint(f"{path}: only plain Qwen2 (no sliding window, no rope scaling, silu) is served.")
    return config
