"""How vllm is set up for a model of ours. It imports no vllm."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from services.llm.checkpoint import LlmConfig
from services.llm.engines.engine import EngineModel, EngineOptions

# The model class and its key in the config, both of `vllm_model`.
ARCHITECTURE = "VoxlineRestrictedQwen2"
ALLOWED_SPANS = "voxline_allowed_spans"

# vllm's names and the bytes of a number.
_PRECISIONS: Mapping[str, tuple[str, int]] = {"bf16": ("bfloat16", 2), "f32": ("float32", 4)}
# What a sequence seldom exceeds: a minute of speech, its text and its reference.
_USUAL_TOKENS = 4096
# vllm hands out the KV cache in blocks (16 tokens on a GPU, 128 on a CPU) and keeps one back.
_BLOCK_TOKENS = 128


class EngineSettings(TypedDict):
    """Those of vllm's `AsyncEngineArgs` that we set."""

    model: str
    hf_overrides: Mapping[str, Any]
    dtype: str
    max_model_len: int
    max_num_seqs: int
    kv_cache_memory_bytes: int
    gpu_memory_utilization: float
    skip_tokenizer_init: bool
    enable_prefix_caching: bool
    disable_log_stats: bool


def engine_settings(model: EngineModel, config: LlmConfig, options: EngineOptions) -> EngineSettings:
    """Raises ValueError for a precision that vllm must not run this model in."""
    if options.precision not in _PRECISIONS:
        raise ValueError(
            f"vllm has no precision {options.precision} for this model, only {', '.join(_PRECISIONS)}. "
            "In fp16 its activations overflow and its speech turns into noise."
        )
    dtype, size = _PRECISIONS[options.precision]
    return EngineSettings(
        model=str(model.directory),
        hf_overrides={"architectures": [ARCHITECTURE], ALLOWED_SPANS: _spans(model.allowed)},
        dtype=dtype,
        max_model_len=model.context,
        max_num_seqs=options.max_batch,
        kv_cache_memory_bytes=_kv_cache_tokens(model.context, options.max_batch) * _token_bytes(config, size),
        # With the KV cache in bytes this says only what must be free at the start; the codec may be on the same GPU.
        gpu_memory_utilization=0.05,
        skip_tokenizer_init=True,
        enable_prefix_caching=True,
        disable_log_stats=False,
    )


def environment(options: EngineOptions) -> Mapping[str, str]:
    """What vllm and its processes read from the environment."""
    threads = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(options.threads)}
    return {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        # A fork would copy gRPC's locks, held by threads that it does not copy.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_CACHE_ROOT": str(options.cache_directory / "vllm"),
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        **(threads if options.threads else {}),
    }


def _spans(ids: Sequence[int]) -> list[list[int]]:
    """Sorted ids as [[first, end], ...]."""
    spans: list[list[int]] = []
    for token in ids:
        if spans and spans[-1][1] == token:
            spans[-1][1] += 1
        else:
            spans.append([token, token + 1])
    return spans


def _kv_cache_tokens(context: int, max_batch: int) -> int:
    """The usual length for every sequence, the whole context for one. Short of room, vllm computes a sequence again."""
    usual = min(context, _USUAL_TOKENS) + _BLOCK_TOKENS
    return max(max_batch * usual, context + _BLOCK_TOKENS) + _BLOCK_TOKENS


def _token_bytes(config: LlmConfig, size: int) -> int:
    """Keys and values of one token in all layers."""
    return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_size * size
