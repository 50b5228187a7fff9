from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.checkpoint import load_config
from services.llm.engines.engine import EngineModel, EngineOptions
from services.llm.engines.vllm_settings import ALLOWED_SPANS, engine_settings, environment

CHECKPOINT = Path(__file__).parents[2] / "models" / "voxline-small" / "LLM"
CONFIG = load_config(CHECKPOINT)


def options(precision: str = "bf16", threads: int = 0, max_batch: int = 8) -> EngineOptions:
    return EngineOptions(precision, threads, max_batch, Path("cache"))


def model(allowed: tuple[int, ...] = (5, 6, 7), context: int = 4096) -> EngineModel:
    return EngineModel(CHECKPOINT, vocabulary=2000, context=context, allowed=allowed)


def kv_cache_tokens(context: int, max_batch: int, precision: str = "bf16") -> float:
    size = {"bf16": 2, "f32": 4}[precision]
    token = 2 * 6 * 1 * 64 * size  # keys and values, layers, heads, head size
    settings = engine_settings(model(context=context), CONFIG, options(precision, max_batch=max_batch))
    return settings["kv_cache_memory_bytes"] / token


@pytest.mark.parametrize("precision", ["fp16", "f16", "int8"])
def test_other_precisions_are_refused_with_the_reason(precision: str) -> None:
    with pytest.raises(ValueError, match=f"{precision}.*only bf16, f32.*fp16.*overflow"):
        engine_settings(model(), CONFIG, options(precision))


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", "bfloat16"), ("f32", "float32")])
def test_precision_goes_by_the_name_that_vllm_has_for_it(precision: str, dtype: str) -> None:
    assert engine_settings(model(), CONFIG, options(precision))["dtype"] == dtype


@given(st.sets(st.integers(0, 1999), min_size=1))
def test_allowed_ids_travel_as_spans(ids: set[int]) -> None:
    spans = engine_settings(model(tuple(sorted(ids))), CONFIG, options())["hf_overrides"][ALLOWED_SPANS]
    assert [token for first, end in spans for token in range(first, end)] == sorted(ids)
    assert all(end < first for (_, end), (first, _) in pairwise(spans))


@pytest.mark.parametrize("precision", ["bf16", "f32"])
def test_kv_cache_holds_a_full_batch_of_short_contexts(precision: str) -> None:
    tokens = kv_cache_tokens(context=1000, max_batch=8, precision=precision)
    assert 8 * 1024 <= tokens <= 8 * 1200 + 200


def test_kv_cache_holds_one_whole_context_but_not_a_batch_of_long_ones() -> None:
    assert 32768 < kv_cache_tokens(context=32768, max_batch=1) < 33100
    assert 32768 < kv_cache_tokens(context=32768, max_batch=16) < 16 * 32768 / 4


def test_threads_are_left_to_vllm_unless_given() -> None:
    assert "OMP_NUM_THREADS" not in environment(options(threads=0))
    assert environment(options(threads=3))["OMP_NUM_THREADS"] == "3"


def test_nothing_is_sent_to_the_network() -> None:
    assert {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}.items() <= environment(options()).items()
