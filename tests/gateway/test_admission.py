"""Which requests a simulated machine admits."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence

import pytest

from services.gateway.admission import Admission, AdmissionPolicy, ListenerState, Throughput, has_capacity
from services.gateway.playback import Playback
from services.runtime.errors import Overloaded

from .simulated import CAPACITY, TICK, Clock, Machine

# How long the speech of a listener is, in seconds.
SHORTEST, LONGEST = 1.0, 5.0
MEAN = (SHORTEST + LONGEST) / 2


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start(clock: Clock):
    started: list[Machine] = []

    def machine(slots: int, policy: AdmissionPolicy = AdmissionPolicy(), **sizes: float) -> Machine:  # noqa: B008
        started.append(Machine(clock, policy, slots, **sizes))
        return started[-1]

    yield machine
    for each in started:
        await each.stop()


Start = Callable[..., Machine]


def p95(values: Sequence[float]) -> float:
    return sorted(values)[round(0.95 * (len(values) - 1))]


async def arrivals(machine: Machine, load: float, draw: random.Random) -> None:
    """An open loop: `load` times what the machine can do, for ever."""
    while True:
        await machine.clock.sleep(draw.expovariate(load * CAPACITY / MEAN))
        machine.start(machine.listen(draw.uniform(SHORTEST, LONGEST)))


async def ask_again(machine: Machine, draw: random.Random) -> None:
    while True:
        await machine.listen(draw.uniform(SHORTEST, LONGEST))


def listening(*leads: float, pace: float = 3.0) -> list[ListenerState]:
    return [ListenerState(lead, recent_audio=pace, recent_wait=1.0) for lead in leads]


@pytest.mark.parametrize(
    "listeners",
    [
        listening(),
        listening(-3.0, pace=0.1),
        listening(-3.0, math.inf, *[1.0] * 6),
        listening(-60.0, 2.0),
        listening(*[1.0] * 40),
        [ListenerState(1.0)] * 40,
        [ListenerState(0.3, recent_audio=3.0, recent_wait=1.0, heard_for=0.5)] * 20,
        [
            ListenerState(0.3, recent_audio=3.0, recent_wait=1.0, heard_for=2.0),
            *[ListenerState(1.5, 3.0, 1.0, 2.0)] * 3,
        ],
    ],
)
def test_one_more_may_come_in_while_few_are_late(listeners: list[ListenerState]) -> None:
    assert has_capacity(listeners, throughput=0.0)


@pytest.mark.parametrize(
    "listeners",
    [
        listening(-3.0, 1.0),
        listening(*[2.0] * 14, -0.2, -0.2, -0.2),
        listening(-60.0, -0.2),
        listening(*[9.0] * 20, pace=0.9),
        [ListenerState(0.3, recent_audio=3.0, recent_wait=1.0, heard_for=2.0)] * 4,
    ],
)
def test_nobody_may_come_in_while_others_need_all_that_there_is(listeners: list[ListenerState]) -> None:
    assert not has_capacity(listeners, throughput=20.0)


def test_many_listeners_show_what_a_machine_can_do_and_a_pause_does_not() -> None:
    throughput = Throughput()
    assert throughput.measure(0.0, 0.0, receiving=5) == 0.0
    assert throughput.measure(1.0, 20.0, receiving=5) == 20.0
    assert throughput.measure(2.0, 30.0, receiving=3) == 20.0
    assert throughput.measure(60.0, 40.0, receiving=5) == 20.0
    assert throughput.measure(61.0, 50.0, receiving=5) == 10.0


@pytest.mark.parametrize("slots", [16, 256])
async def test_twelve_who_ask_again_and_again_are_never_turned_away(clock: Clock, start: Start, slots: int) -> None:
    machine = start(slots)
    for place in range(12):
        machine.start(ask_again(machine, random.Random(place)))
    await clock.run(30.0)
    assert machine.refused == 0
    assert len(machine.heard) > 200


async def test_burst_that_can_be_served_is_let_in_whole(clock: Clock, start: Start) -> None:
    machine = start(16)
    for _ in range(24):
        machine.start(machine.listen(MEAN))
    await clock.run(10.0)
    assert (len(machine.heard), machine.refused) == (24, 0)


@pytest.mark.parametrize("slots", [16, 256])
async def test_below_capacity_next_to_nobody_is_turned_away(clock: Clock, start: Start, slots: int) -> None:
    machine = start(slots)
    machine.start(arrivals(machine, 0.8, random.Random(1)))
    await clock.run(60.0)
    assert machine.refused <= 0.02 * len(machine.heard)


async def test_machine_on_which_each_gets_little_but_there_is_capacity_turns_next_to_nobody_away(
    clock: Clock, start: Start
) -> None:
    """A large GPU: no listener gets more than two and a half times what it plays, however few there are."""
    machine = start(256, capacity=200.0, fastest=2.5)
    machine.start(arrivals(machine, 1.5, random.Random(1)))
    await clock.run(60.0)
    assert machine.refused <= 0.03 * len(machine.heard)


async def test_machine_with_capacity_to_spare_lets_nobody_wait(clock: Clock, start: Start) -> None:
    """Where one listener cannot get all that there is, few of them do not show how little there is."""
    machine = start(256, capacity=200.0, fastest=4.5)
    machine.start(arrivals(machine, 1.5, random.Random(1)))
    await clock.run(60.0)
    assert machine.refused == 0
    assert p95(machine.first_sounds) < 0.1


@pytest.mark.parametrize(("slots", "load"), [(16, 1.5), (16, 4.0), (256, 1.5)])
async def test_overload_is_turned_away_and_those_inside_are_in_time(
    clock: Clock, start: Start, slots: int, load: float
) -> None:
    """With slots, newcomers wait for their first sound and starve nobody; without, all share what there is."""
    machine = start(slots)
    machine.start(arrivals(machine, load, random.Random(2)))
    await clock.run(30.0)
    assert p95(machine.underruns) <= 0.1
    assert p95(machine.first_sounds) <= 2.5
    assert sum(one.audio_seconds for one in machine.heard) >= 0.85 * CAPACITY * 30.0


def slower_at_once(now: float) -> float:
    return 1.0 if now < 10.0 else 0.7


def slower_and_faster(now: float) -> float:
    return 1.0 + 0.35 * math.sin(now)


def slow_at_first(now: float) -> float:
    return 0.6 if now < 10.0 else 1.0


def steady(now: float) -> float:
    return 1.0


async def overloaded(machine: Machine, speed: Callable[[float], float], seed: int) -> float:
    """The share of what could be spoken in 24 s that was."""

    async def change() -> None:
        while True:
            machine.capacity = CAPACITY * speed(machine.clock.now)
            await machine.clock.sleep(TICK)

    machine.start(change())
    machine.start(arrivals(machine, 1.5, random.Random(seed)))
    await machine.clock.run(24.0)
    could = CAPACITY * sum(speed(second) for second in range(24))
    return sum(one.audio_seconds for one in machine.heard) / could


@pytest.mark.parametrize("speed", [slower_at_once, slower_and_faster, slow_at_first])
@pytest.mark.parametrize("seed", [0, 1, 2])
async def test_those_inside_are_in_time_on_a_machine_whose_speed_changes(
    start: Start, speed: Callable[[float], float], seed: int
) -> None:
    machine = start(16)
    assert await overloaded(machine, speed, seed) >= 0.85
    assert p95(machine.underruns) <= 0.1


@pytest.mark.parametrize("speed", [steady, slower_at_once])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
async def test_those_inside_are_in_time_where_who_runs_out_first_is_served_first(
    start: Start, speed: Callable[[float], float], seed: int
) -> None:
    """Nobody is late there until all are, so lateness would tell too late."""
    machine = start(64, beginning=3.0)
    assert await overloaded(machine, speed, seed) >= 0.75
    assert p95(machine.underruns) <= 0.1


async def test_it_recovers_as_soon_as_the_late_ones_are_gone(clock: Clock, start: Start) -> None:
    machine = start(16)
    rush = asyncio.ensure_future(arrivals(machine, 4.0, random.Random(3)))
    await clock.run(10.0)
    rush.cancel()
    assert machine.refused > 0
    await clock.run(5.0)
    before = machine.refused
    machine.start(machine.listen(1.0))
    await clock.run(1.0)
    assert machine.refused == before


async def test_listener_who_is_stuck_locks_nobody_out(clock: Clock) -> None:
    admission = Admission(AdmissionPolicy(), lambda: clock.now, clock.sleep)
    stuck = Playback(clock.now)
    stuck.asked(clock.now)
    async with admission.admitted(stuck, real_time=True), admission.admitted(Playback(clock.now), real_time=True):
        clock.now = 60.0
        async with admission.admitted(Playback(clock.now), real_time=True):
            pass


async def test_one_more_than_the_most_is_turned_away_at_once_until_one_leaves() -> None:
    admission = Admission(AdmissionPolicy(max_requests=1, retry_after=2.5))
    async with admission.admitted(Playback(0.0), real_time=False):
        with pytest.raises(Overloaded) as raised:
            async with admission.admitted(Playback(0.0), real_time=False):
                pass
        assert raised.value.retry_after == 2.5
    async with admission.admitted(Playback(0.0), real_time=False):
        pass


async def test_slot_is_given_back_when_a_request_fails() -> None:
    admission = Admission(AdmissionPolicy(max_requests=1))
    with pytest.raises(ValueError, match="broke"):
        async with admission.admitted(Playback(0.0), real_time=True):
            raise ValueError("broke")
    async with admission.admitted(Playback(0.0), real_time=True):
        pass


async def test_a_listener_that_reads_nothing_gives_up_its_slot_and_is_served_when_it_comes_back() -> None:
    admission = Admission(AdmissionPolicy(max_requests=1, paused_seconds=0.01, gone_seconds=60))
    async with admission.admitted(Playback(0.0), real_time=True) as slot:
        with slot.handing_on():
            while admission.requests:
                await asyncio.sleep(0.01)
            async with admission.admitted(Playback(0.0), real_time=True):
                coming_back = asyncio.create_task(slot.take())
                await asyncio.sleep(0.1)
                assert not coming_back.done()
        await coming_back
        assert admission.requests == 1
    assert not admission.requests


async def test_one_that_never_comes_back_is_cancelled() -> None:
    admission = Admission(AdmissionPolicy(paused_seconds=0.01, gone_seconds=0.02))

    async def listen() -> None:
        async with admission.admitted(Playback(0.0), real_time=True) as slot:
            with slot.handing_on():
                await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(listen())
    assert not admission.requests


async def test_a_text_stream_has_a_slot_only_while_there_is_something_to_speak() -> None:
    admission = Admission(AdmissionPolicy(max_requests=1))
    slot = admission.slot(Playback(0.0))
    async with admission.text_stream(slot):
        assert not admission.requests
        await slot.begin_segment()
        await slot.begin_segment()
        slot.end_segment()
        assert admission.requests == 1
        slot.end_segment()
        assert not admission.requests
        await slot.begin_segment()
        assert admission.requests == 1
    assert not admission.requests


async def test_a_text_stream_that_speaks_again_waits_for_a_slot() -> None:
    """It is no newcomer, who would be turned away."""
    admission = Admission(AdmissionPolicy(max_requests=1))
    slot = admission.slot(Playback(0.0))
    async with admission.text_stream(slot):
        await slot.begin_segment()
        slot.end_segment()
        async with admission.admitted(Playback(0.0), real_time=False):
            again = asyncio.create_task(slot.begin_segment())
            await asyncio.sleep(0.1)
            assert not again.done()
        await again
        assert admission.requests == 1


async def test_who_waits_for_a_slot_twice_gets_one() -> None:
    """A listener comes back while the next piece of the text waits."""
    admission = Admission(AdmissionPolicy(max_requests=1))
    slot = admission.slot(Playback(0.0))
    async with admission.text_stream(slot):
        await slot.begin_segment()
        slot.release()
        async with admission.admitted(Playback(0.0), real_time=False):
            waiting = [asyncio.create_task(slot.take()), asyncio.create_task(slot.begin_segment())]
            await asyncio.sleep(0.1)
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
        assert admission.requests == 1
    assert not admission.requests


async def test_who_gives_up_waiting_leaves_nothing_taken() -> None:
    admission = Admission(AdmissionPolicy(max_requests=1))
    slot = admission.slot(Playback(0.0))
    async with admission.text_stream(slot):
        await slot.begin_segment()
        slot.release()
        async with admission.admitted(Playback(0.0), real_time=False):
            waiting = asyncio.create_task(slot.take())
            await asyncio.sleep(0.1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    assert not admission.requests


async def test_more_text_streams_than_may_be_open_are_turned_away() -> None:
    admission = Admission(AdmissionPolicy(max_text_streams=1))
    async with admission.text_stream(admission.slot(Playback(0.0))):
        with pytest.raises(Overloaded, match="text streams"):
            async with admission.text_stream(admission.slot(Playback(0.0))):
                pass
    async with admission.text_stream(admission.slot(Playback(0.0))):
        pass
