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
from services.gateway.reply import Usage
from services.gateway.request import NamedVoice, Output, SpeechRequest, Turn
from services.gateway.stages import Stages, Targets
from services.runtime.errors import EngineDied, GenerationFailed, Overloaded, StageUnavailable, WrongRevision

from .conftest import PATIENCE, heard, spoken

TEXT = "A sentence, cut in its middle."


def request(seed: int | None = 7, whole: bool = False) -> SpeechRequest:
    return SpeechRequest((Turn(TEXT, NamedVoice("")),), Sampling(seed=seed), Output(whole=whole))


class Wire:
    """Forwards connections to a stage until they are cut; new ones find their way again, as to another replica."""

    async def start(self, target: Path) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._target)
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
    assert usage.retries == 1
    assert registry.get_sample_value("voxline_gateway_replacements_total", {"stage": "detokenizer"}) == 1


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
    assert usage.retries == 1
    assert registry.get_sample_value("voxline_gateway_replacements_total", {"stage": "llm"}) == 1


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
async def test_engine_that_died_is_replaced(synthesis, doubles, whole):
    await ready_voice(synthesis)
    doubles.llm.before = failing(1, EngineDied("The engine died."))
    assert await heard(synthesis.speak(request(whole=whole), Usage(7))) == TEXT


async def test_stage_without_capacity_in_mid_reply_is_asked_once_more(synthesis, doubles):
    await ready_voice(synthesis)
    doubles.llm.before = failing(1, Overloaded("No capacity.", retry_after=0.01))
    assert await heard(synthesis.speak(request(), Usage(7))) == TEXT
    doubles.llm.before = failing(2, Overloaded("No capacity.", retry_after=0.01))
    with pytest.raises(Overloaded, match="No capacity"):
        await heard(synthesis.speak(request(), Usage(7)))


async def test_replica_of_another_revision_is_passed_over(synthesis, doubles):
    await ready_voice(synthesis)
    doubles.llm.before = failing(1, WrongRevision("Another is served here."))
    assert await heard(synthesis.speak(request(), Usage(7))) == TEXT


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
