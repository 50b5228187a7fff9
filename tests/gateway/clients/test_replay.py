"""A stage that is lost in mid-sentence: the gateway goes on with another replica, and the listener hears no seam."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from services.gateway.clients.drawn import Drawn
from services.gateway.clients.events import Finish
from services.gateway.clients.tape import Tape
from services.gateway.request import Sampling
from services.gateway.stages import Stages, Targets
from services.gateway.tokens import ClonedTokens, SpeakerTokens
from services.runtime.errors import GenerationFailed, InvalidRequest, StageUnavailable
from services.runtime.streams import collected

from ..conftest import PATIENCE, spoken

SPEAKER = SpeakerTokens((1, 2, 3, 4))
TEXT = "A sentence of some length, cut in its middle."


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


async def letters():
    for character in TEXT:
        yield (ord(character),)


async def test_lost_detokenizer_is_replaced_without_a_seam(stages, doubles, wire):
    reached = asyncio.Event()
    doubles.detokenizer.before = once_at(20, reached)
    heard = []
    async for audio in stages.detokenizer.decode(SPEAKER, letters()):
        heard.append(audio.samples)
        if len(heard) == 20:
            await reached.wait()
            wire["detokenizer"].cut()
    assert spoken(np.concatenate(heard)) == TEXT
    assert len(doubles.detokenizer.configs) == 2


async def test_detokenizer_that_is_lost_again_and_again_is_unavailable(stages, doubles, wire):
    async def cut(place: int) -> None:
        if place == 1:
            await heard_some.wait()
            wire["detokenizer"].cut()
            await asyncio.Event().wait()

    heard_some = asyncio.Event()
    doubles.detokenizer.before = cut
    heard = []
    with pytest.raises(StageUnavailable):
        async for audio in stages.detokenizer.decode(SPEAKER, letters()):
            heard.append(audio.samples)
            heard_some.set()
    assert spoken(np.concatenate(heard)) == TEXT[0]
    assert len(doubles.detokenizer.configs) > 2


async def test_error_of_the_codes_is_not_taken_for_a_lost_detokenizer(stages, doubles):
    async def failing():
        yield (65, 66)
        await heard.wait()
        raise StageUnavailable("The llm is down.")

    heard = asyncio.Event()
    with pytest.raises(StageUnavailable, match="The llm is down"):
        async for _ in stages.detokenizer.decode(SPEAKER, failing()):
            heard.set()
    assert len(doubles.detokenizer.configs) == 1


async def drawn_text(stages, wire, reached, sampling):
    events = []
    async for event in stages.llm.generate(TEXT, ClonedTokens(SPEAKER), sampling):
        events.append(event)
        if len(events) == 11:
            await reached.wait()
            wire["llm"].cut()
    speaker, *codes, finish = events
    assert speaker == SPEAKER
    assert isinstance(finish, Finish)
    return "".join(chr(code) for values in codes for code in values)


async def test_lost_llm_is_replaced_by_one_that_draws_the_same(stages, doubles, wire):
    reached = asyncio.Event()
    doubles.llm.before = once_at(10, reached)
    assert await drawn_text(stages, wire, reached, Sampling(seed=7)) == TEXT
    assert [request.sampling.seed for request in doubles.llm.requests] == [7, 7]


async def test_replacement_that_draws_something_else_fails(stages, doubles, wire):
    reached = asyncio.Event()
    doubles.llm.before = once_at(10, reached)
    doubles.llm.draws = lambda request: [len(doubles.llm.requests)] * 30
    with pytest.raises(GenerationFailed, match="does not draw the same"):
        await drawn_text(stages, wire, reached, Sampling(seed=7))


async def test_generation_without_a_seed_is_not_drawn_again(stages, doubles, wire):
    reached = asyncio.Event()
    doubles.llm.before = once_at(10, reached)
    with pytest.raises(StageUnavailable):
        await drawn_text(stages, wire, reached, Sampling())
    assert len(doubles.llm.requests) == 1


def test_repeats_are_left_out_however_they_are_cut():
    drawn = Drawn()
    assert [drawn.news(event) for event in (SPEAKER, (1, 2), (3,))] == [SPEAKER, (1, 2), (3,)]
    drawn.again()
    assert [drawn.news(event) for event in (SPEAKER, (1,), (2, 3, 4), (5,))] == [None, None, (4,), (5,)]


def test_replacement_that_ends_early_fails():
    drawn = Drawn()
    for event in (SPEAKER, (1, 2)):
        drawn.news(event)
    drawn.again()
    drawn.news(SPEAKER)
    drawn.news((1,))
    with pytest.raises(GenerationFailed):
        drawn.news(Finish(True, 1, 1))


async def test_tape_plays_from_the_start_and_goes_on():
    more = asyncio.Event()

    async def source():
        yield (1,)
        await more.wait()
        yield (2,)

    async with Tape(source()) as tape:
        first = tape.play()
        assert await anext(first) == (1,)
        more.set()
        assert await collected(first) == [(2,)]
        assert await collected(tape.play()) == [(1,), (2,)]
        assert not tape.broken


async def test_tape_ends_in_the_error_of_its_source():
    async def source():
        yield (1,)
        raise InvalidRequest("bad")

    async with Tape(source()) as tape:
        playing = tape.play()
        assert await anext(playing) == (1,)
        with pytest.raises(InvalidRequest, match="bad"):
            await anext(playing)
        assert tape.broken


async def test_tape_that_is_left_closes_its_source():
    closed = asyncio.Event()

    async def source():
        try:
            yield (1,)
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with Tape(source()) as tape:
        await anext(tape.play())
    assert closed.is_set()
