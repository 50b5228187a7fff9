"""The thread around a stepper, with steppers whose every step the test decides."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest
from prometheus_client import Metric

from services.llm.engines.engine import EngineModel
from services.llm.engines.outbox import Outbox
from services.llm.engines.stepped import SteppedEngine
from services.llm.engines.stepper import Drawn, Job
from services.llm.sampling import ResolvedSampling
from services.runtime.errors import EngineDied, StageUnavailable

TEN = ResolvedSampling(max_tokens=10)
ENDLESS = ResolvedSampling(max_tokens=30_000)


@dataclass
class Stepping:
    """Draws 1, 2, 3, ... for every sequence, for ever where its sampling is ENDLESS.

    Where `permits` is there, each step waits for a permit.
    """

    permits: SimpleQueue[None] | None = None
    dies_at: int | None = None
    jobs: dict[int, Job] = field(default_factory=dict)
    drawn: dict[int, int] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    steps: int = 0
    freed: threading.Event = field(default_factory=threading.Event)

    def submit(self, job: Job) -> None:
        self.jobs[job.ticket] = job
        self.drawn[job.ticket] = 0

    def cancel(self, ticket: int) -> None:
        self.cancelled.add(ticket)

    def metrics(self) -> Iterable[Metric]:
        return ()

    def step(self) -> Iterable[Drawn]:
        if self.permits is not None:
            self.permits.get()
        self.steps += 1
        if self.steps == self.dies_at:
            raise MemoryError("out of memory")
        for ticket, job in list(self.jobs.items()):
            if ticket in self.cancelled:
                del self.jobs[ticket]
                self.freed.set()
                yield Drawn(ticket, [], done=True)
                continue
            self.drawn[ticket] += 1
            done = job.sampling is not ENDLESS and self.drawn[ticket] == job.sampling.max_tokens
            if done:
                del self.jobs[ticket]
            yield Drawn(ticket, [self.drawn[ticket]], done)


@pytest.fixture
async def stepper() -> Stepping:
    return Stepping()


@pytest.fixture
async def engine(tiny_model: EngineModel, stepper: Stepping) -> AsyncIterator[SteppedEngine]:
    engine = SteppedEngine(tiny_model, stepper)
    yield engine
    await engine.close()


async def drawn(engine: SteppedEngine, sampling: ResolvedSampling = TEN) -> list[int]:
    return [token async for chunk in engine.generate([1], sampling, frozenset()) for token in chunk]


async def test_every_id_arrives_in_order(engine: SteppedEngine) -> None:
    assert await drawn(engine) == list(range(1, 11))
    assert (engine.running, engine.waiting) == (0, 0)


async def test_thread_waits_without_a_step_while_nothing_lives(engine: SteppedEngine, stepper: Stepping) -> None:
    await drawn(engine)
    assert stepper.steps == 10


async def test_slow_reader_gets_every_id_in_larger_chunks(engine: SteppedEngine) -> None:
    async with aclosing(engine.generate([1], TEN, frozenset())) as chunks:
        first = await anext(chunks)
        await drawn(engine, ResolvedSampling(max_tokens=100))
        rest = [chunk async for chunk in chunks]
    assert [*first, *(token for chunk in rest for token in chunk)] == list(range(1, 11))
    assert len(rest) <= 1


async def test_counts_tell_waiting_from_running(tiny_model: EngineModel) -> None:
    permits: SimpleQueue[None] = SimpleQueue()
    engine = SteppedEngine(tiny_model, Stepping(permits=permits))
    reading = asyncio.create_task(drawn(engine))
    await asyncio.sleep(0)
    assert (engine.running, engine.waiting) == (0, 1)
    for _ in range(10):
        permits.put(None)
    assert len(await reading) == 10
    assert (engine.running, engine.waiting) == (0, 0)
    await engine.close()


async def test_closed_generator_frees_its_sequence_within_one_step(engine: SteppedEngine, stepper: Stepping) -> None:
    async with aclosing(engine.generate([1], ENDLESS, frozenset())) as chunks:
        await anext(chunks)
        assert engine.running == 1
    await drawn(engine)
    assert stepper.freed.is_set()
    assert (engine.running, engine.waiting) == (0, 0)


async def test_death_reaches_the_call_and_the_process(tiny_model: EngineModel) -> None:
    engine, ids = SteppedEngine(tiny_model, Stepping(dies_at=3)), list[int]()
    with pytest.raises(EngineDied):
        async for chunk in engine.generate([1], TEN, frozenset()):
            ids += chunk
    assert ids == [1, 2]
    with pytest.raises(MemoryError, match="out of memory"):
        await engine.failed
    with pytest.raises(StageUnavailable, match="is dead") as raised:
        await drawn(engine)
    assert type(raised.value) is StageUnavailable, "who comes later has no part in the death"
    assert (engine.running, engine.waiting) == (0, 0)
    await engine.close()


async def test_close_frees_what_still_runs(tiny_model: EngineModel) -> None:
    stepper = Stepping()
    engine = SteppedEngine(tiny_model, stepper)
    async with aclosing(engine.generate([1], ENDLESS, frozenset())) as chunks:
        await anext(chunks)
        await engine.close()
        assert not stepper.jobs
        with pytest.raises(EngineDied):
            async for _ in chunks:
                pass
    assert engine.failed.cancelled()


async def test_ids_come_when_they_are_due_and_the_last_always(engine: SteppedEngine) -> None:
    async with aclosing(engine.generate([1], TEN, frozenset(), lambda waiting: waiting == 4)) as generated:
        lasts = [chunk[-1] async for chunk in generated]
    assert set(lasts) <= {4, 8, 10}
    assert lasts[-1] == 10


async def test_sequence_runs_once_it_has_drawn_although_nothing_is_due(tiny_model: EngineModel) -> None:
    permits: SimpleQueue[None] = SimpleQueue()
    engine = SteppedEngine(tiny_model, Stepping(permits=permits))
    asked = threading.Event()

    def never(waiting: int) -> bool:
        asked.set()
        return False

    async with aclosing(engine.generate([1], TEN, frozenset(), never)) as chunks:
        reading = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        permits.put(None)
        await asyncio.to_thread(asked.wait)
        assert (engine.running, engine.waiting, reading.done()) == (1, 0, False)
        for _ in range(9):
            permits.put(None)
        assert await reading == list(range(1, 11))
    await engine.close()


def test_outbox_delivers_what_has_become_due_while_others_draw() -> None:
    outbox, due = Outbox(), False
    outbox.open(7, lambda waiting: due)
    outbox.open(8, lambda waiting: False)
    assert outbox.offer([Drawn(7, [1], False), Drawn(8, [1], False)]) == []
    due = True
    assert outbox.offer([Drawn(8, [2], False)]) == [Drawn(7, [1], False)]
    assert outbox.offer([Drawn(8, [3], True)]) == [Drawn(8, [1, 2, 3], True)]
