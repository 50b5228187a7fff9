"""What vllm draws greedily is what the reference implementation drew."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from safetensors.torch import load_file, save_file

from services.llm.engines import engine_loader
from services.llm.engines.engine import Engine, EngineModel, EngineOptions
from services.llm.sampling import ResolvedSampling

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="module")]

PARITY = Path(__file__).parents[1] / "parity" / "spark-tiny"
RECORDED: Mapping[str, Any] = json.loads((PARITY / "llm.json").read_text())
# The recorded run drew from the whole vocabulary. Of the ids that it never drew every other one is forbidden here,
# so that the allowed ones lie scattered: greedy, that changes nothing.
DRAWN = {token for ids in RECORDED["greedy"].values() for token in ids}
ALLOWED = tuple(token for token in range(RECORDED["vocab_size"]) if token % 2 or token in DRAWN)
STOP_IDS = frozenset({RECORDED["eos_token_id"]})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    directory = tmp_path_factory.mktemp("widened")
    widen(PARITY / "model" / "LLM", directory)
    model = EngineModel(directory, RECORDED["vocab_size"], context=512, allowed=ALLOWED)
    loaded = await engine_loader("vllm").load(model, EngineOptions("f32", 1, 4, directory / "cache"))
    yield loaded
    await loaded.close()


@pytest.mark.parametrize("key", RECORDED["greedy"])
async def test_greedy_ids_are_the_recorded_ones(engine: Engine, key: str) -> None:
    """64 ids, without the end."""
    sampling = ResolvedSampling(max_tokens=64, min_tokens=64, temperature=0.0)
    chunks = [ids async for ids in engine.generate(RECORDED["ids"][key], sampling, STOP_IDS)]
    assert [token for ids in chunks for token in ids] == RECORDED["greedy"][key]


async def test_scattered_ids_are_all_that_is_ever_drawn(engine: Engine) -> None:
    """At the highest temperature the forbidden half would come up at once."""
    sampling = ResolvedSampling(max_tokens=400, min_tokens=400, temperature=2.0, top_k=0, top_p=1.0, seed=1)
    chunks = [ids async for ids in engine.generate(RECORDED["ids"]["control"], sampling, STOP_IDS)]
    drawn = {token for ids in chunks for token in ids}
    assert len(drawn) > 200
    assert drawn <= set(ALLOWED) - STOP_IDS


def widen(source: Path, target: Path) -> None:
    """The same function with 32 channels a head in place of 16, for which vllm has no CPU kernel: zeros behind those of
    every head, and as many in the residual stream. The output layer is stored too, so that one is not tied.
    """
    config = json.loads((source / "config.json").read_text())
    head_size = config["hidden_size"] // config["num_attention_heads"]
    stored = load_file(source / "model.safetensors")
    weights = {name: widened(name.split(".")[-2], weight, head_size) for name, weight in stored.items()}
    save_file({**weights, "lm_head.weight": weights["model.embed_tokens.weight"].clone()}, target / "model.safetensors")
    config |= {
        "hidden_size": 2 * config["hidden_size"],
        # Half of the mean square, half of the channels that turn.
        "rms_norm_eps": config["rms_norm_eps"] / 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": config["rope_theta"], "partial_rotary_factor": 0.5},
        "tie_word_embeddings": False,
    }
    (target / "config.json").write_text(json.dumps(config))


def widened(layer: str, weight: torch.Tensor, head_size: int) -> torch.Tensor:
    """Attention divides by the root of the head size, a norm by that of the mean square: hence the roots of two."""
    if layer.endswith("norm"):
        return doubled(weight, 0) / 2**0.5
    if layer in ("q_proj", "k_proj", "v_proj"):
        weight = doubled(weight.reshape(-1, head_size, *weight.shape[1:]), 1).flatten(0, 1)
        weight = weight * 2**0.5 if layer == "q_proj" else weight
    if layer == "o_proj":
        weight = doubled(weight.reshape(len(weight), -1, head_size), 2).flatten(1, 2)
    if layer in ("o_proj", "down_proj"):
        return doubled(weight, 0)
    return doubled(weight, 1) if weight.ndim == 2 else weight


def doubled(weight: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.cat([weight, torch.zeros_like(weight)], axis)
