from collections.abc import Sequence
from contextlib import aclosing

import pytest

from services.llm.engines.engine import EngineModel
from services.llm.engines.scripted import Script, ScriptedEngine
from services.llm.sampling import ResolvedSampling
from services.runtime.errors import EngineDied, InvalidRequest, StageUnavailable

STOP = frozenset({436})
MANY = ResolvedSampling(max_tokens=100)


async def chunks_of(
    engine: ScriptedEngine, sampling: ResolvedSampling = MANY, drawn: Sequence[int] = ()
) -> list[list[int]]:
    return [chunk async for chunk in engine.generate([1], sampling, STOP, drawn=drawn)]


async def test_replays_its_chunks_up_to_the_stop_id(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700, 701), (702, 436, 703), (704,))))
    assert await chunks_of(engine) == [[700, 701], [702, 436]]
    assert engine.prompts == [(1,)]


async def test_ends_at_max_tokens(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700, 701), (702, 703))))
    assert await chunks_of(engine, ResolvedSampling(max_tokens=3)) == [[700, 701], [702]]


async def test_continues_its_script_behind_what_was_drawn(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700, 701), (702, 703), (704,))))
    assert await chunks_of(engine, drawn=(700, 701, 702)) == [[703], [704]]
    assert await chunks_of(engine, ResolvedSampling(max_tokens=4), drawn=(700,)) == [[701], [702, 703]]
    with pytest.raises(InvalidRequest, match="Token id 1 "):
        await chunks_of(engine, drawn=(1,))
    with pytest.raises(AssertionError, match="has ended"):
        await chunks_of(engine, ResolvedSampling(max_tokens=1), drawn=(700,))


async def test_counts_what_runs(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700,), (701,))))
    async with aclosing(engine.generate([1], MANY, STOP)) as chunks:
        await anext(chunks)
        assert engine.running == 1
    assert engine.running == 0


async def test_dies_on_demand(tiny_model: EngineModel) -> None:
    engine = ScriptedEngine(tiny_model, Script(((700,),), dies=True))
    with pytest.raises(EngineDied):
        await chunks_of(engine)
    with pytest.raises(RuntimeError):
        await engine.failed
    with pytest.raises(StageUnavailable, match="is dead"):
        await chunks_of(engine)
