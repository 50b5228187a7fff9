"""What vllm's adapter refuses, and how it dies."""

import asyncio
import multiprocessing
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.llm.engines import engine_loader
from services.llm.engines.engine import EngineOptions
from services.llm.families.spark.family import SparkFamily
from services.llm.sampling import ResolvedSampling
from services.runtime.errors import EngineDied, StageUnavailable

pytestmark = pytest.mark.vllm

CHECKPOINT = Path(__file__).parents[2] / "models" / "voxline-small"
ENDLESS = ResolvedSampling(max_tokens=2000, min_tokens=2000, seed=1)


async def test_death_of_the_process_ends_every_sequence_and_is_reported(tmp_path: Path) -> None:
    model = SparkFamily.load(CHECKPOINT).engine_model
    before = set(multiprocessing.active_children())
    engine = await engine_loader("vllm").load(model, EngineOptions("f32", 1, 2, tmp_path))
    (core,) = set(multiprocessing.active_children()) - before
    async with aclosing(engine.generate([1], ENDLESS, frozenset())) as sequence:
        await anext(sequence)
        core.kill()
        with pytest.raises(EngineDied):
            async for _ in sequence:
                pass
    await asyncio.wait([engine.failed])
    assert engine.failed.exception() is not None
    with pytest.raises(StageUnavailable, match="is dead"):
        await anext(engine.generate([1], ENDLESS, frozenset()))
    assert (engine.running, engine.waiting) == (0, 0)
    await engine.close()


def test_output_layer_is_not_split_over_devices() -> None:
    from services.llm.engines.vllm_model import RestrictedQwen2

    two_devices = SimpleNamespace(parallel_config=SimpleNamespace(world_size=2))
    with pytest.raises(ValueError, match="replicas"):
        RestrictedQwen2(vllm_config=two_devices)
