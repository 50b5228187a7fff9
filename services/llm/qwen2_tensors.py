"""What a Qwen2 checkpoint must hold, from its config.json: every tensor by name and shape, so that a wrong one is named
whichever engine would have met it. Source: transformers, Qwen2ForCausalLM's state dict.
"""

from collections.abc import Iterator

from services.llm.checkpoint import LlmConfig, UnusableCheckpoint
from services.llm.weights import Float32, Weights

Shape = tuple[int, ...]

EMBEDDINGS, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


def check_tensors(weights: Weights, config: LlmConfig) -> None:
    """Raises UnusableCheckpoint that names the first missing or misshapen tensor. lm_head may be left out (tied)."""
    for name, expected in _expected(config):
        if name not in weights:
            raise UnusableCheckpoint(f"{weights.directory}: tensor {name} is missing.")
        _check(weights, name, expected)
    if _HEAD in weights:
        _check(weights, _HEAD, (config.vocab_size, config.hidden_size))


def head(weights: Weights) -> Float32:
    """[V, D]; the embeddings where they are tied."""
    return weights[_HEAD if _HEAD in weights else EMBEDDINGS]


def _check(weights: Weights, name: str, expected: Shape) -> None:
    found = weights.shape(name)
    if found != expected:
        raise UnusableCheckpoint(
            f"{weights.directory}: tensor {name} has shape {list(found)}, expected {list(expected)}."
        )


def _expected(config: LlmConfig) -> Iterator[tuple[str, Shape]]:
    hidden = config.hidden_size
    yield EMBEDDINGS, (config.vocab_size, hidden)
    yield "model.norm.weight", (hidden,)
    for layer in range(config.num_hidden_layers):
        for name, shape in _layer(config).items():
            yield f"model.layers.{layer}.{name}", shape


def _layer(config: LlmConfig) -> dict[str, Shape]:
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_size
    keys = config.num_key_value_heads * config.head_size
    return {
        "input_layernorm.weight": (hidden,),
        "post_attention_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.q_proj.bias": (queries,),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.k_proj.bias": (keys,),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.v_proj.bias": (keys,),
        "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }
