from contextlib import aclosing

import pytest

from services.llm.engines.engine import EngineModel
from services.llm.engines.scripted import Script, ScriptedEngine
from services.llm.sampling import Sampling
from services.runtime.errors import GenerationFailed, StageUnavailable

STOP = frozenset({436})
MANY = Sampling(max_tokens=100)


async def chunks_of(engine: ScriptedEngine, sampling: Sampling = MANY) -> list[list[int]]:
    return [chunk async for chunk in engine.generate([1], sampling, STOP)]


async def test_replays_its_chunks_up_to_the_stop_id(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700, 701), (702, 436, 703), (704,))))
    assert await chunks_of(engine) == [[700, 701], [702, 436]]
    assert engine.prompts == [(1,)]


async def test_ends_at_max_tokens(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700, 701), (702, 703))))
    assert await chunks_of(engine, Sampling(max_tokens=3)) == [[700, 701], [702]]


async def test_counts_what_runs(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700,), (701,))))
    async with aclosing(engine.generate([1], MANY, STOP)) as chunks:
        await anext(chunks)
        assert engine.running == 1
    assert engine.running == 0


async def test_dies_on_demand(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700,),), dies=True))
    with pytest.raises(GenerationFailed):
        await chunks_of(engine)
    with pytest.raises(RuntimeError):
        await engine.failed
    with pytest.raises(StageUnavailable):
        await chunks_of(engine)
