"""Our own engine for CPUs: its logits against transformers', how it draws, and what a step takes in."""

import ctypes
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from services.llm.engines import default_engine
from services.llm.engines.cpu import engine
from services.llm.engines.cpu.engine import usual_threads
from services.llm.engines.cpu.library import Kind, Library
from services.llm.engines.cpu.stepper import PROMPT_TOKENS, CpuStepper, Room
from services.llm.engines.cpu.weights import packed
from services.llm.engines.engine import EngineModel
from services.llm.engines.stepped import SteppedEngine
from services.llm.engines.stepper import Drawn, Job
from services.llm.families.family import Family
from services.llm.sampling import ResolvedSampling
from services.runtime.cpus import cpus
from services.runtime.errors import EngineDied

from .conftest import Logits, correlation, prompted, reference

Make = Callable[..., CpuStepper]
GREEDY = {"temperature": 0.0}
WIDE = Room(16, 4096)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def library(cache: Path) -> Library:
    assert shutil.which("g++"), "without it these tests say nothing: apt-get install g++"
    library = Library.load(cache)
    if library is None:
        pytest.skip("this CPU has neither AVX2 nor NEON")
    return library


@pytest.fixture(scope="module", params=["small_family", "tiny_family"])
def family(request: pytest.FixtureRequest) -> Family:
    family: Family = request.getfixturevalue(request.param)
    return family


@pytest.fixture(scope="module")
def stepper(library: Library, cache: Path) -> Make:
    def make(model: EngineModel, room: Room = WIDE, threads: int = 1, kind: Kind = Kind.BEST) -> CpuStepper:
        return CpuStepper(library, model, packed(model, cache), threads, room, kind)

    return make


def job(ticket: int, prompt: Sequence[int], tokens: int, before: Sequence[int] = (), **sampling: float) -> Job:
    sampled = ResolvedSampling(max_tokens=tokens, **{"seed": ticket, **sampling})
    return Job(ticket, tuple(prompt), sampled, frozenset(), drawn=tuple(before))


def drawn(stepper: CpuStepper, jobs: Sequence[Job]) -> dict[int, list[int]]:
    """To the end of all."""
    ids: dict[int, list[int]] = {each.ticket: [] for each in jobs}
    for each in jobs:
        stepper.submit(each)
    left = len(jobs)
    while left:
        for item in stepper.step():
            ids[item.ticket] += item.ids
            left -= item.done
    return ids


def steps(stepper: CpuStepper, count: int) -> list[list[int]]:
    """Tickets that drew in each step."""
    return [[item.ticket for item in stepper.step() if item.ids] for _ in range(count)]


def logits(stepper: CpuStepper, model: EngineModel, ids: Sequence[int], places: Sequence[int]) -> Logits:
    """[places, V], zeros where nothing may be drawn: each from a prompt of its own."""
    found = np.zeros((len(places), model.vocabulary), np.float32)
    for row, place in enumerate(places):
        drawn(stepper, [job(0, ids[: place + 1], 1, **GREEDY)])
        found[row, list(model.allowed)] = last_logits(stepper, model)
    return found


def last_logits(stepper: CpuStepper, model: EngineModel) -> Logits:
    """Of the first sequence that drew in the last step."""
    return np.ctypeslib.as_array((ctypes.c_float * len(model.allowed)).from_address(stepper.logits())).copy()


@pytest.mark.parametrize("kind", list(Kind))
def test_logits_are_near_those_of_transformers(
    library: Library, stepper: Make, family: Family, kind: Kind, small_family: Family
) -> None:
    if library.kind(kind) < 0:
        pytest.skip(f"this CPU has no {kind.name}")
    model, ids = family.engine_model, prompted(family)
    places = range(0, len(ids), 9)
    found, expected = logits(stepper(model, kind=kind), model, ids, places), reference(model, ids)[places]
    # Random weights of 64 columns suffer more from 8 bits.
    assert correlation(model, found, expected) >= (0.999 if family is small_family else 0.993)


def test_tokens_are_the_same_with_any_batch_mates_and_threads(stepper: Make, small_family: Family) -> None:
    """Whatever the others make of the parts in which a prompt is computed."""
    model = small_family.engine_model
    ids = prompted(small_family)
    jobs = [job(ticket, ids[: 20 + 37 * ticket], 40) for ticket in range(6)]
    alone = {ticket: ids for each in jobs for ticket, ids in drawn(stepper(model), [each]).items()}
    assert drawn(stepper(model), jobs) == alone
    assert drawn(stepper(model), jobs[::-1]) == alone
    for threads in (2, 5):
        assert drawn(stepper(model, threads=threads), jobs) == alone
    before = job(9, ids[: PROMPT_TOKENS - 1], 1)
    assert drawn(stepper(model), [before, jobs[5]])[5] == alone[5]


def test_without_vnni_the_products_are_the_same(library: Library, stepper: Make, small_family: Family) -> None:
    if library.kind(Kind.AVX_VNNI) < 0:
        pytest.skip("this CPU has no AVX_VNNI")
    model, jobs = small_family.engine_model, [job(ticket, prompted(small_family)[:40], 60) for ticket in range(3)]
    assert drawn(stepper(model, kind=Kind.AVX2), jobs) == drawn(stepper(model, kind=Kind.AVX_VNNI), jobs)


def test_a_continued_prompt_has_the_logits_of_a_whole_one(stepper: Make, small_family: Family) -> None:
    one, ids = stepper(small_family.engine_model), prompted(small_family)[:30]
    said = drawn(one, [job(0, ids, 50, **GREEDY)])[0]
    assert drawn(one, [job(0, ids + said[:20], 30, **GREEDY)])[0] == said[20:]


@pytest.mark.parametrize("kind", list(Kind)[1:])
def test_a_sequence_goes_on_as_it_would_have(library: Library, stepper: Make, small_family: Family, kind: Kind) -> None:
    """Cut behind any token, in another stepper, whoever else is there."""
    if library.kind(kind) < 0:
        pytest.skip(f"this CPU has no {kind.name}")
    model, ids, count = small_family.engine_model, prompted(small_family), 60
    jobs = [job(seed, ids[: 9 + 31 * seed], count, repetition_penalty=1.2) for seed in range(4)]
    whole = drawn(stepper(model, kind=kind), jobs)
    alone, crowded = stepper(model, kind=kind), stepper(model, kind=kind)
    for cut in range(count):
        rest = [replace(each, drawn=tuple(whole[each.ticket][:cut])) for each in jobs]
        expected = {ticket: tokens[cut:] for ticket, tokens in whole.items()}
        assert drawn(crowded, rest) == expected
        one = rest[cut % len(rest)]
        assert drawn(alone, [one]) == {one.ticket: expected[one.ticket]}


@dataclass
class Dying:
    """Computes `steps` steps and then fails, as for want of memory."""

    stepper: CpuStepper
    steps: int

    def __post_init__(self) -> None:
        self.submit, self.cancel, self.metrics = self.stepper.submit, self.stepper.cancel, self.stepper.metrics

    def step(self) -> Iterable[Drawn]:
        if not self.steps:
            raise MemoryError("out of memory")
        self.steps -= 1
        return self.stepper.step()


async def test_another_engine_goes_on_where_one_died(stepper: Make, small_family: Family) -> None:
    model, prompt = small_family.engine_model, prompted(small_family)[:30]
    sampling = ResolvedSampling(max_tokens=60, min_tokens=60, repetition_penalty=1.2, seed=8)
    (whole,) = drawn(stepper(model), [Job(0, tuple(prompt), sampling, frozenset())]).values()
    ids: list[int] = []
    for steps in (7, 11):
        engine = SteppedEngine(model, Dying(stepper(model), steps))
        with pytest.raises(EngineDied):
            async for chunk in engine.generate(prompt, sampling, frozenset(), drawn=tuple(ids)):
                ids += chunk
        await engine.close()
    assert ids == whole[:18]
    engine = SteppedEngine(model, stepper(model))
    rest = [token async for chunk in engine.generate(prompt, sampling, frozenset(), drawn=ids) for token in chunk]
    await engine.close()
    assert ids + rest == whole


def test_stop_ids_and_limits_count_what_was_drawn_before(stepper: Make, small_family: Family) -> None:
    model, ids = small_family.engine_model, prompted(small_family)[:40]
    one, sampling = stepper(model), ResolvedSampling(max_tokens=60, min_tokens=20, temperature=2.0, top_k=0, seed=2)
    stops = frozenset(model.allowed[::3])
    whole = drawn(one, [Job(0, tuple(ids), sampling, stops)])[0]
    assert len(whole) > 20
    for cut in range(len(whole)):
        before = tuple(whole[:cut])
        assert drawn(one, [Job(0, tuple(ids), sampling, stops, drawn=before)])[0] == whole[cut:]


@pytest.mark.parametrize(
    "sampling",
    [
        {"top_k": 3, "top_p": 1.0, "temperature": 1.0},
        {"top_k": 0, "top_p": 0.6, "temperature": 0.7},
        {"top_k": 20, "top_p": 0.9, "temperature": 1.5, "repetition_penalty": 1.3},
    ],
)
def test_draws_follow_the_distribution(stepper: Make, tiny_family: Family, sampling: dict[str, float]) -> None:
    model, one = tiny_family.engine_model, stepper(tiny_family.engine_model)
    ids = prompted(tiny_family)[:40]
    drawn(one, [job(0, ids, 1, **GREEDY)])
    expected = distribution(last_logits(one, model), model, ids, **sampling)
    count = 4000
    found = Counter[int]()
    # Over seeds and positions: as many of the ids as there are positions before count as drawn.
    for seed in range(count // 16):
        together = [job(at, ids[: 40 - at], 1 + at, ids[40 - at :], seed=seed, **sampling) for at in range(16)]
        found.update(token for (token,) in drawn(one, together).values())
    shares = np.array([found[token] / count for token in model.allowed])
    assert set(np.flatnonzero(shares)) <= set(np.flatnonzero(expected))
    # Of 4000 draws a share strays by .008 at most, in one of two.
    assert np.abs(shares - expected).max() < 0.035


def distribution(
    logits: Logits,
    model: EngineModel,
    prompt: Sequence[int],
    top_k: int,
    top_p: float,
    temperature: float,
    repetition_penalty: float = 1.0,
) -> Logits:
    """As transformers defines it, [allowed]."""
    scores = logits.astype(np.float64)
    seen = np.isin(model.allowed, prompt)
    scores[seen] *= np.where(scores[seen] > 0, 1 / repetition_penalty, repetition_penalty)
    order = np.argsort(-scores, kind="stable")[: top_k or None]
    shares = np.exp((scores[order] - scores[order[0]]) / temperature)
    shares /= shares.sum()
    kept = np.cumsum(shares) - shares < top_p
    result = np.zeros(len(scores))
    result[order[kept]] = shares[kept] / shares[kept].sum()
    return result


def test_where_every_id_stops_too_early_one_is_drawn_all_the_same(stepper: Make, tiny_model: EngineModel) -> None:
    one, sampling = stepper(tiny_model), ResolvedSampling(max_tokens=9, min_tokens=9, seed=1)
    ids = drawn(one, [Job(0, (1, 2, 3), sampling, frozenset(tiny_model.allowed))])[0]
    assert len(ids) == 1
    assert ids[0] in tiny_model.allowed


def test_prompts_are_taken_in_by_arrival(stepper: Make, tiny_model: EngineModel) -> None:
    one = stepper(tiny_model)
    for ticket, prompt in enumerate((PROMPT_TOKENS - 20, 21, 2 * PROMPT_TOKENS, 1, 7)):
        one.submit(job(ticket, range(prompt), tokens=9))
    assert steps(one, 5) == [[0, 3], [0, 1, 3], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]


def test_who_finds_no_room_waits(stepper: Make, tiny_model: EngineModel) -> None:
    two = stepper(tiny_model, Room(2, 1000))
    for ticket in range(3):
        two.submit(job(ticket, range(5), tokens=2))
    assert steps(two, 4) == [[0, 1], [0, 1], [2], [2]]
    small = stepper(tiny_model, Room(16, 30))
    for ticket in range(3):
        small.submit(job(ticket, range(5), tokens=10))
    assert steps(small, 20) == [[0, 1]] * 10 + [[2]] * 10


def test_who_waited_for_room_draws_the_same_tokens(stepper: Make, small_family: Family) -> None:
    """Two sequences of 128 tokens, and room for 200."""
    model = small_family.engine_model
    jobs = [job(ticket, prompted(small_family)[:8], 120) for ticket in range(2)]
    assert drawn(stepper(model, Room(2, 200)), jobs) == drawn(stepper(model), jobs)


def test_cancelled_sequences_make_room(stepper: Make, tiny_model: EngineModel) -> None:
    one = stepper(tiny_model, Room(1, 1000))
    for ticket in range(3):
        one.submit(job(ticket, range(5), tokens=2))
    one.cancel(1)
    assert [(item.ticket, len(item.ids), item.done) for item in one.step()] == [(1, 0, True), (0, 1, False)]
    one.cancel(0)
    assert [(item.ticket, len(item.ids), item.done) for item in one.step()] == [(0, 0, True), (2, 1, False)]
    one.cancel(7)
    assert steps(one, 2) == [[2], []]


def test_weights_are_packed_once(tiny_model: EngineModel, tmp_path: Path) -> None:
    packed(tiny_model, tmp_path)
    (first,) = (path for path in tmp_path.iterdir() if not path.name.startswith("digest-"))
    written = first.stat().st_mtime_ns
    entries = set(tmp_path.iterdir())
    packed(tiny_model, tmp_path)
    assert set(tmp_path.iterdir()) == entries
    assert first.stat().st_mtime_ns == written


@pytest.fixture
def copied(tiny_model: EngineModel, tmp_path: Path) -> EngineModel:
    shutil.copytree(tiny_model.directory, tmp_path / "LLM")
    return replace(tiny_model, directory=tmp_path / "LLM")


def test_same_contents_elsewhere_are_the_same_entry(copied: EngineModel, tmp_path: Path) -> None:
    shutil.copytree(copied.directory, tmp_path / "elsewhere")
    for model in (copied, replace(copied, directory=tmp_path / "elsewhere")):
        packed(model, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("llm-*"))) == 1


def test_whatever_the_weights_depend_on_makes_another_entry(copied: EngineModel, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    packed(copied, cache)
    packed(replace(copied, allowed=copied.allowed[1:]), cache)
    weights = copied.directory / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    packed(copied, cache)
    assert len(list(cache.glob("llm-*"))) == 3


def test_processes_that_start_together_share_one_entry(copied: EngineModel, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        contents = set(pool.map(packed_bytes, [copied] * 3, [cache] * 3))
    assert contents == {packed_bytes(copied, tmp_path / "alone")}
    assert len(list(cache.glob("llm-*"))) == 1


def packed_bytes(model: EngineModel, cache: Path) -> bytes:
    return packed(model, cache).matrices.tobytes()


@pytest.mark.usefixtures("library")
def test_it_is_the_default(cache: Path, tiny_model: EngineModel) -> None:
    assert default_engine(tiny_model, cache) == "cpu"


@pytest.mark.usefixtures("without_compiler")
def test_without_a_compiler_transformers_is_the_default(cache: Path, tiny_model: EngineModel) -> None:
    assert default_engine(tiny_model, cache / "empty") == "transformers"


def test_only_a_large_model_has_more_than_one_thread(tiny_model: EngineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usual_threads(tiny_model) == 1
    monkeypatch.setattr(engine, "LARGE", 1)
    assert usual_threads(tiny_model) == min(cpus(), 8)
