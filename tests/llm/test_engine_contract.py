"""What every engine promises, on the bundled voice. An engine takes part where what it needs is installed."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio
from safetensors.torch import load_file, save_file

from services.llm.checkpoint import UnusableCheckpoint
from services.llm.engines import ENGINES, default_precision, engine_loader
from services.llm.engines.cpu.engine import runs
from services.llm.engines.engine import Engine, EngineModel, EngineOptions
from services.llm.families.family import Family
from services.llm.sampling import ResolvedSampling
from services.runtime.errors import InvalidRequest, TooLarge

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The name of a library, but for our own engine, which is compiled.
RUNNABLE = [name for name in ENGINES if name == "cpu" or find_spec(name) is not None]
# Text lies below; the last ids are kept out of what may be drawn, like the ids without a token of other checkpoints.
FIRST_ADDED, END, LAST, VOCABULARY = 256, 258, 5634, 5712
LENGTHS = (1, 5, 9, 17, 33, 40, 64, 200)
PROMPTS = [tuple(range(50 * place, 50 * place + length)) for place, length in enumerate(LENGTHS)]
# Everything may be drawn, and is about as likely.
MEASURED = {
    "cpu": {"cpu_sequences", "cpu_cache_usage"},
    "transformers": set(),
    "vllm": {"vllm:generation_tokens_total", "vllm:kv_cache_usage_perc", "vllm:prefix_cache_hits_total"},
}
WILD = {"temperature": 2.0, "top_k": 0, "top_p": 1.0}


def options(name: str, cache: Path) -> EngineOptions:
    return EngineOptions(default_precision(name), threads=1, max_batch=8, cache_directory=cache)


@pytest.fixture(scope="module", params=RUNNABLE)
def name(request: pytest.FixtureRequest, model: EngineModel, cache: Path) -> str:
    engine: str = request.param
    if engine == "cpu" and not runs(model, cache):
        pytest.skip("there is no g++, or this CPU has neither AVX2 nor NEON")
    return engine


@pytest.fixture(scope="module")
def model(small_family: Family) -> EngineModel:
    whole = small_family.engine_model
    return dataclasses.replace(whole, allowed=whole.allowed[: whole.allowed.index(LAST) + 1])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(name: str, model: EngineModel, cache: Path) -> AsyncIterator[Engine]:
    engine = await engine_loader(name).load(model, options(name, cache))
    yield engine
    await engine.close()


async def drawn(
    engine: Engine,
    prompt: Sequence[int],
    sampling: ResolvedSampling,
    stop: frozenset[int] = frozenset({END}),
    before: Sequence[int] = (),
) -> list[int]:
    async with aclosing(engine.generate(prompt, sampling, stop, drawn=before)) as chunks:
        return [token async for chunk in chunks for token in chunk]


async def test_same_seed_same_tokens_alone_and_in_a_batch(engine: Engine) -> None:
    asked = [
        (prompt, ResolvedSampling(max_tokens=12 + place, min_tokens=10, seed=place))
        for place, prompt in enumerate(PROMPTS)
    ]
    alone = [await drawn(engine, prompt, sampling) for prompt, sampling in asked]
    together = await asyncio.gather(*(drawn(engine, prompt, sampling) for prompt, sampling in asked))
    assert alone == together


async def test_ids_come_when_they_are_due_and_the_last_always(engine: Engine) -> None:
    sampling, asked = ResolvedSampling(max_tokens=20, min_tokens=20, seed=1), list[int]()

    def due(waiting: int) -> bool:
        asked.append(waiting)
        return waiting >= 8

    async with aclosing(engine.generate(PROMPTS[4], sampling, frozenset({END}), due)) as chunks:
        drawn_when_due = [chunk async for chunk in chunks]
    assert [len(chunk) >= 8 for chunk in drawn_when_due[:-1]] == [True] * (len(drawn_when_due) - 1)
    assert max(asked) < 20
    assert [token for chunk in drawn_when_due for token in chunk] == await drawn(engine, PROMPTS[4], sampling)


async def test_another_seed_gives_other_tokens(engine: Engine) -> None:
    results = [
        await drawn(engine, PROMPTS[4], ResolvedSampling(max_tokens=20, min_tokens=20, seed=seed)) for seed in range(4)
    ]
    assert len({tuple(result) for result in results}) == 4


async def test_greedy_ignores_the_seed(engine: Engine) -> None:
    results = [
        await drawn(engine, PROMPTS[4], ResolvedSampling(max_tokens=20, min_tokens=20, temperature=0.0, seed=seed))
        for seed in range(2)
    ]
    assert results[0] == results[1]


async def test_more_requests_than_the_batch_holds_all_end(engine: Engine) -> None:
    wanted = [ResolvedSampling(max_tokens=1 + place % 6, min_tokens=1 + place % 6) for place in range(24)]
    results = await asyncio.gather(*(drawn(engine, PROMPTS[3], sampling) for sampling in wanted))
    assert [len(result) for result in results] == [sampling.max_tokens for sampling in wanted]
    assert (engine.running, engine.waiting) == (0, 0)


async def test_only_allowed_ids_are_drawn(engine: Engine, model: EngineModel) -> None:
    sampling = ResolvedSampling(max_tokens=300, min_tokens=300, seed=1, **WILD)
    result = await drawn(engine, PROMPTS[2], sampling)
    assert len(result) == 300
    assert set(result) <= set(model.allowed)
    assert max(result) - min(result) > 600


async def test_allowed_ids_may_be_scattered(name: str, model: EngineModel, cache: Path) -> None:
    scattered = dataclasses.replace(model, allowed=model.allowed[::7])
    engine = await engine_loader(name).load(scattered, options(name, cache))
    result = await drawn(engine, PROMPTS[2], ResolvedSampling(max_tokens=150, seed=1, **WILD), frozenset())
    assert set(result) <= set(scattered.allowed)
    assert len(set(result)) > 50
    await engine.close()


async def test_a_stop_id_ends_the_generation_and_is_its_last(engine: Engine) -> None:
    greedy = ResolvedSampling(max_tokens=20, min_tokens=20, temperature=0.0)
    free = await drawn(engine, PROMPTS[5], greedy)
    assert len(free) == 20
    assert END not in free
    # At once it would say nothing: the prompt is no text.
    stop, first = free[7], free.index(free[7])
    ended = await drawn(engine, PROMPTS[5], dataclasses.replace(greedy, min_tokens=first), frozenset({stop, END}))
    assert ended == free[: first + 1]


async def test_no_stop_id_before_min_tokens(engine: Engine) -> None:
    stop = frozenset(range(FIRST_ADDED, LAST - 2))
    result = await drawn(engine, PROMPTS[5], ResolvedSampling(max_tokens=20, min_tokens=12, seed=3), stop)
    assert not stop.intersection(result[:12])
    assert 12 < len(result) <= 20


async def test_repetition_penalty_is_heard(engine: Engine) -> None:
    greedy = ResolvedSampling(max_tokens=60, min_tokens=60, temperature=0.0)
    plain, punished = [
        await drawn(engine, PROMPTS[5], dataclasses.replace(greedy, repetition_penalty=penalty))
        for penalty in (1.0, 1.5)
    ]
    assert len(set(punished)) > len(set(plain))


async def test_what_was_drawn_before_counts_for_the_limits(engine: Engine) -> None:
    stop = frozenset(range(FIRST_ADDED, LAST - 2))
    sampling = ResolvedSampling(max_tokens=20, min_tokens=12, seed=3)
    before = (LAST, LAST - 1, LAST, LAST - 1, LAST)
    for known in range(len(before) + 1):
        result = await drawn(engine, PROMPTS[5], sampling, stop, before[:known])
        assert not stop.intersection(result[: 12 - known])
        assert 12 - known < len(result) <= 20 - known
    assert len(await drawn(engine, PROMPTS[5], sampling, frozenset(), (LAST,) * 19)) == 1


async def test_what_was_drawn_before_is_read_and_not_drawn_again(engine: Engine) -> None:
    """Greedily there is only one continuation."""
    greedy = ResolvedSampling(max_tokens=24, min_tokens=24, temperature=0.0, repetition_penalty=1.2)
    whole = await drawn(engine, PROMPTS[5], greedy)
    for known in (1, 8, 23):
        assert await drawn(engine, PROMPTS[5], greedy, before=whole[:known]) == whole[known:]


async def test_random_numbers_go_on_behind_what_was_drawn_before(engine: Engine) -> None:
    """With those of the beginning the same context would give the same tokens, and speech run in circles."""
    sampling = ResolvedSampling(max_tokens=28, min_tokens=28, seed=4, **WILD)
    first = await drawn(engine, (*PROMPTS[3], *(LAST,) * 8), sampling, frozenset())
    behind = await drawn(engine, PROMPTS[3], sampling, frozenset(), (LAST,) * 8)
    assert first[:20] != behind
    again = await drawn(engine, PROMPTS[3], sampling, frozenset(), (LAST,) * 8)
    assert behind == again


@pytest.mark.parametrize("wrong", [-1, 5, LAST + 1, VOCABULARY, 10**9])
async def test_what_cannot_have_been_drawn_is_refused(engine: Engine, wrong: int) -> None:
    with pytest.raises(InvalidRequest, match=f"Token id {wrong} "):
        await drawn(engine, PROMPTS[3], ResolvedSampling(max_tokens=9), before=(LAST, wrong))


async def test_slow_reader_gets_every_id_in_larger_chunks(engine: Engine) -> None:
    sampling = ResolvedSampling(max_tokens=30, min_tokens=30, seed=5)
    async with aclosing(engine.generate(PROMPTS[3], sampling, frozenset({END}))) as chunks:
        first = await anext(chunks)
        await drawn(engine, PROMPTS[3], ResolvedSampling(max_tokens=60, min_tokens=60))
        rest = [chunk async for chunk in chunks]
    assert [*first, *(token for chunk in rest for token in chunk)] == await drawn(engine, PROMPTS[3], sampling)
    assert max(map(len, [first, *rest])) > 1


async def test_closed_generator_frees_its_sequence(engine: Engine) -> None:
    endless = ResolvedSampling(max_tokens=4_000, min_tokens=4_000)
    async with aclosing(engine.generate(PROMPTS[3], endless, frozenset({END}))) as chunks:
        await anext(chunks)
        assert (engine.running, engine.waiting) == (1, 0)
    await drawn(engine, PROMPTS[3], ResolvedSampling(max_tokens=10))
    assert (engine.running, engine.waiting) == (0, 0)


async def test_cancelled_reader_frees_a_sequence_that_waits(engine: Engine) -> None:
    endless = ResolvedSampling(max_tokens=4_000, min_tokens=4_000)
    readers = [asyncio.create_task(drawn(engine, PROMPTS[3], endless)) for _ in range(12)]
    await asyncio.sleep(0)
    # Its thread may have begun already.
    assert engine.waiting + engine.running == 12
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await drawn(engine, PROMPTS[3], ResolvedSampling(max_tokens=10))
    assert (engine.running, engine.waiting) == (0, 0)


@pytest.mark.parametrize("prompt", [(), (-1,), (VOCABULARY,), (5, 10**9)])
async def test_prompt_with_a_wrong_id_is_refused(engine: Engine, prompt: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequest):
        await drawn(engine, prompt, ResolvedSampling(max_tokens=1))
    assert len(await drawn(engine, PROMPTS[3], ResolvedSampling(max_tokens=5, min_tokens=5))) == 5


async def test_prompt_beyond_the_context_is_refused(engine: Engine, model: EngineModel) -> None:
    with pytest.raises(TooLarge):
        await drawn(engine, (1,) * model.context, ResolvedSampling(max_tokens=1))


async def test_the_engine_measures_itself(name: str, engine: Engine) -> None:
    """Under the engine's own names, as its users know them."""
    for _ in range(3):
        await drawn(engine, PROMPTS[0], ResolvedSampling(max_tokens=4, seed=1))
    samples = {sample.name for metric in engine.metrics() for sample in metric.samples}
    assert MEASURED[name] <= samples


async def test_engine_lives(engine: Engine) -> None:
    assert not engine.failed.done()


async def test_fp16_weights_are_refused(name: str, model: EngineModel, tmp_path: Path) -> None:
    stored = load_file(model.directory / "model.safetensors")
    save_file({key: tensor.half() for key, tensor in stored.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((model.directory / "config.json").read_bytes())
    half = dataclasses.replace(model, directory=tmp_path)
    with pytest.raises(UnusableCheckpoint, match="fp16"):
        await engine_loader(name).load(half, options(name, tmp_path))


async def test_unknown_precision_is_refused(name: str, model: EngineModel, tmp_path: Path) -> None:
    wrong = dataclasses.replace(options(name, tmp_path), precision="f16")
    with pytest.raises(ValueError, match="f16"):
        await engine_loader(name).load(model, wrong)
