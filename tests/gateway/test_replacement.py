"""A stage that is lost in mid-sentence: the gateway goes on with another replica, and the listener hears no seam."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.contract.frames import Frames
from services.contract.generation import Prefix
from services.contract.model import Revision
from services.contract.sampling import Sampling
from services.gateway.metrics import GatewayMetrics
from services.gateway.replacement import Replacement
from services.gateway.reply import Usage
from services.gateway.request import NamedVoice, Output, SpeechRequest, Turn
from services.gateway.stages import Stages, Targets
from services.runtime.errors import (
    DeadlineExceeded,
    EngineDied,
    GenerationFailed,
    InvalidRequest,
    Overloaded,
    StageUnavailable,
    Unsupported,
    VoxlineError,
    WrongRevision,
)

from .conftest import PATIENCE, heard, spoken

TEXT = "A sentence, cut in its middle."
TWO_SEGMENTS = "The first sentence is here to be spoken. Then comes the second one, as it must."


def request(seed: int | None = 7, whole: bool = False, text: str = TEXT) -> SpeechRequest:
    return SpeechRequest((Turn(text, NamedVoice("")),), Sampling(seed=seed), Output(whole=whole))


class Wire:
    """Forwards connections to a stage until they are cut; new ones find their way again, as to another replica."""

    async def start(self, target: Path) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        except OSError:  # The stage is away.
            writer.transport.abort()
            return
        self._writers += [writer, far_writer]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
        except ConnectionError:
            pass
        finally:
            sink.transport.abort()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps)


@pytest.fixture
async def wire(doubles):
    wires = {name: Wire() for name in doubles.sockets}
    for name, wire in wires.items():
        await wire.start(doubles.sockets[name])
    yield wires
    for wire in wires.values():
        await wire.stop()


@pytest.fixture
async def stages(wire):
    stages = Stages(Targets(**{name: f"127.0.0.1:{one.port}" for name, one in wire.items()}), None)
    stages.start()
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: not stages.reasons())
    yield stages
    await stages.stop()


def once_at(place: int, reached: asyncio.Event):
    """Waits for ever at a place, but only the first time."""

    async def before(now: int) -> None:
        if now == place and not reached.is_set():
            reached.set()
            await asyncio.Event().wait()

    return before


async def ready_voice(synthesis) -> None:
    """The default voice has its speaker, so that the next generation is of the text."""
    await heard(synthesis.speak(request(), Usage()))


async def test_lost_detokenizer_is_primed_and_goes_on_without_a_seam(synthesis, doubles, wire, registry):
    reached, usage = asyncio.Event(), Usage(7)
    await ready_voice(synthesis)
    doubles.detokenizer.before = once_at(20, reached)
    got = []
    async for audio in synthesis.speak(request(), usage):
        got.append(audio.samples)
        if len(got) == 20:
            await reached.wait()
            wire["detokenizer"].cut()
    assert spoken(np.concatenate(got)) == TEXT
    _, first, second = doubles.detokenizer.configs
    assert first.priming is None
    assert second.priming.from_frame == 20
    assert second.priming.frames == Frames.of_codes([ord(c) for c in TEXT[16:20]], first=16)
    assert second.priming.chunk_frames == (1, 1, 1, 1)
    assert usage.retries >= 1  # A search for a replica that is back counts too.
    assert registry.get_sample_value("voxline_gateway_replacements_total", {"stage": "detokenizer"}) >= 1


async def test_lost_llm_goes_on_from_what_was_drawn(synthesis, doubles, wire, registry):
    reached, usage = asyncio.Event(), Usage(7)
    await ready_voice(synthesis)
    doubles.llm.before = once_at(10, reached)
    got = []
    async for audio in synthesis.speak(request(), usage):
        got.append(audio.samples)
        if len(got) == 10:
            await reached.wait()
            wire["llm"].cut()
    assert spoken(np.concatenate(got)) == TEXT
    first, second = doubles.llm.spoken[-2:]
    assert first.prefix is None
    assert second.prefix == Prefix(Frames.of_codes([ord(c) for c in TEXT[:10]]), b"named")
    assert second.sampling == first.sampling
    assert second.pace.ahead_seconds != first.pace.ahead_seconds == 0.0
    assert usage.retries >= 1  # A search for a replica that is back counts too.
    assert registry.get_sample_value("voxline_gateway_replacements_total", {"stage": "llm"}) >= 1


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_request_that_kills_its_second_replica_fails(synthesis, doubles, wire, stage):
    async def cut(place: int) -> None:
        if place == 3:
            wire[stage].cut()
            await asyncio.Event().wait()

    await ready_voice(synthesis)
    asked = len(doubles.llm.spoken)
    getattr(doubles, stage).before = cut
    with pytest.raises(GenerationFailed, match=f"Two replicas of the {stage}"):
        await heard(synthesis.speak(request(), Usage(7)))
    assert len(doubles.llm.spoken) - asked == (2 if stage == "llm" else 1)


def failing(times: int, error: Exception):
    """Raises `error` before the fourth frame, so often."""
    left = iter(range(times))

    async def before(place: int) -> None:
        if place == 3:
            for _ in left:
                raise error

    return before


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
@pytest.mark.parametrize(
    "error",
    [
        EngineDied("The engine died."),
        WrongRevision("Another is served here."),
        StageUnavailable("This replica ends."),
        Overloaded("No capacity.", retry_after=0.01),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_replica_that_cannot_go_on_is_replaced_once_and_counted(
    synthesis, doubles, registry, stage, error, whole
):
    await ready_voice(synthesis)
    getattr(doubles, stage).before = failing(1, error)
    usage = Usage(7)
    assert await heard(synthesis.speak(request(whole=whole), usage)) == TEXT
    assert usage.retries >= 1  # A search for a replica that is back counts too.
    assert registry.get_sample_value("voxline_gateway_replacements_total", {"stage": stage}) == 1


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
@pytest.mark.parametrize(
    ("error", "end"),
    [
        (EngineDied("The engine died."), GenerationFailed),
        (Overloaded("No capacity.", retry_after=0.01), Overloaded),
        (GenerationFailed("It broke."), GenerationFailed),
    ],
    ids=lambda error: getattr(error, "__name__", type(error).__name__),
)
async def test_stage_that_fails_again_ends_the_reply(synthesis, doubles, stage, error, end):
    await ready_voice(synthesis)
    getattr(doubles, stage).before = failing(2, error)
    with pytest.raises(end):
        await heard(synthesis.speak(request(), Usage(7)))
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_stage_without_capacity_for_a_later_segment_is_asked_once_more(synthesis, doubles, stage):
    await ready_voice(synthesis)
    double = getattr(doubles, stage)
    calls = doubles.llm.requests if stage == "llm" else doubles.detokenizer.configs
    second, refusals = len(calls) + 2, iter([Overloaded("No capacity.", retry_after=0.01)])

    async def before(place: int) -> None:
        if len(calls) == second:
            for refusal in refusals:
                raise refusal

    double.before = before
    usage = Usage(7)
    await heard(synthesis.speak(request(text=TWO_SEGMENTS), usage))
    assert usage.retries >= 1  # A search for a replica that is back counts too.


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_stage_without_capacity_for_a_first_segment_says_so_at_once(synthesis, doubles, stage):
    await ready_voice(synthesis)

    def refuse(request):
        raise Overloaded("No capacity.", retry_after=7.0)

    async def before(place: int) -> None:
        refuse(place)

    if stage == "llm":
        doubles.llm.draws = refuse
    else:
        doubles.detokenizer.before = before
    usage = Usage(7)
    with pytest.raises(Overloaded, match="No capacity") as raised:
        await heard(synthesis.speak(request(), usage))
    assert raised.value.retry_after == 7.0
    assert usage.retries == 0


async def test_stage_all_of_whose_replicas_changed_is_unavailable_until_all_stages_agree(synthesis, doubles, stages):
    await ready_voice(synthesis)
    changed = Revision("another codec", "another llm")
    for name in ("llm", "detokenizer"):
        await doubles.stop(name)
        double = getattr(doubles, name)
        double.model = replace(double.model, revision=changed)
        await doubles.start(name)
    with pytest.raises(StageUnavailable):
        await heard(synthesis.speak(request(), Usage(7)))
    await doubles.stop("tokenizer")
    doubles.tokenizer.model = replace(doubles.tokenizer.model, revision=changed)
    await doubles.start("tokenizer")
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: stages.model().revision == changed)
    assert await heard(synthesis.speak(request(), Usage(7))) == TEXT


async def test_error_of_the_generation_is_not_taken_for_a_lost_detokenizer(synthesis, doubles):
    await ready_voice(synthesis)
    configs = len(doubles.detokenizer.configs)
    doubles.llm.before = failing(9, GenerationFailed("This sequence failed."))
    with pytest.raises(GenerationFailed, match="This sequence failed"):
        await heard(synthesis.speak(request(), Usage(7)))
    assert len(doubles.detokenizer.configs) == configs + 1


class Refreshed:
    """In place of the stages: counts how often they are asked what they serve."""

    times = 0

    def refresh(self) -> None:
        self.times += 1


@pytest.fixture
def replacement(registry):
    """Of a reply that is begun; with what it counts into."""
    stages, usage = Refreshed(), Usage()
    return Replacement("llm", stages, GatewayMetrics(registry), usage, begun=True), stages, usage


def broken() -> StageUnavailable:
    error = StageUnavailable("The call broke.")
    error.broken = True
    return error


@pytest.mark.parametrize("cls", [InvalidRequest, GenerationFailed, DeadlineExceeded, Unsupported])
async def test_error_that_no_replica_can_mend_ends_the_segment_as_itself(replacement, cls):
    rules, stages, usage = replacement
    with pytest.raises(cls, match="What happened"):
        await rules.after(cls("What happened."))
    assert (usage.retries, stages.times) == (0, 0)


@pytest.mark.parametrize(
    "deaths",
    [(EngineDied("Dead."), EngineDied("Dead.")), (broken(), broken()), (EngineDied("Dead."), broken())],
    ids=["engines", "calls", "either"],
)
async def test_segment_that_kills_two_replicas_is_at_fault(replacement, deaths: tuple[VoxlineError, ...]):
    rules, _, usage = replacement
    await rules.after(deaths[0])
    rules.progress()
    with pytest.raises(GenerationFailed, match="Two replicas of the llm"):
        await rules.after(deaths[1])
    assert usage.retries >= 1  # A search for a replica that is back counts too.


async def test_replicas_that_are_not_there_are_no_deaths(replacement):
    rules, _, usage = replacement
    for _ in range(3):
        await rules.after(StageUnavailable("Nobody listens."))
    await rules.after(EngineDied("Dead."))
    assert usage.retries == 4


async def test_every_replica_of_another_revision_has_the_stages_asked_again(replacement):
    rules, stages, usage = replacement
    for _ in range(3):
        await rules.after(WrongRevision("Another is served here."))
    assert (stages.times, usage.retries) == (3, 3)


async def test_capacity_is_waited_for_once_in_a_segment(replacement):
    rules, _, usage = replacement
    await rules.after(Overloaded("No capacity.", retry_after=0.0))
    rules.progress()
    with pytest.raises(Overloaded):
        await rules.after(Overloaded("No capacity.", retry_after=0.0))
    assert usage.retries >= 1  # A search for a replica that is back counts too.
