from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from services.llm.events import CodesDrawn, Event, Finished, FinishReason, SpeakerNamed
from services.llm.pace import Pace, paced
from services.llm.voices import Speaker
from services.llm.wire import pace_of
from services.runtime.errors import InvalidRequest
from voxline.v1 import llm_pb2

SPEAKER, END = SpeakerNamed(Speaker((1,))), Finished(FinishReason.STOP, 1, 100, 0)
PACE = Pace(first_codes=10, codes_per_second=50)


class Drawing:
    """Draws a code every `seconds` of its own time."""

    def __init__(self, codes: int, seconds: float) -> None:
        self._codes = codes
        self._seconds = seconds
        self.now = 100.0
        self.closed = False

    def clock(self) -> float:
        return self.now

    async def events(self) -> AsyncGenerator[Event, None]:
        try:
            yield SPEAKER
            for code in range(self._codes):
                self.now += self._seconds
                yield CodesDrawn((code,))
            yield END
        finally:
            self.closed = True


async def sent(drawing: Drawing, pace: Pace | None) -> list[tuple[float, Event]]:
    return [(drawing.now, event) async for event in paced(drawing.events(), pace, drawing.clock)]


def sizes(events: Sequence[tuple[float, Event]]) -> list[int]:
    return [len(event.codes) for _, event in events if isinstance(event, CodesDrawn)]


async def test_first_sound_comes_whole_and_at_once() -> None:
    (_, speaker), (at, first), *_ = await sent(Drawing(100, 0.001), PACE)
    assert speaker == SPEAKER
    assert first == CodesDrawn(tuple(range(10)))
    assert at == pytest.approx(100.010)


async def test_codes_of_a_fast_model_go_in_few_messages_and_all_go() -> None:
    events = await sent(Drawing(500, 0.0005), PACE)
    assert len(sizes(events)) <= 4
    assert [code for _, event in events if isinstance(event, CodesDrawn) for code in event.codes] == list(range(500))
    assert events[-1][1] == END


@pytest.mark.parametrize("seconds", [0.001, 0.005, 0.01, 0.015])
async def test_listener_never_waits_for_codes_that_are_held(seconds: float) -> None:
    """Who starts a twentieth of a second after the first codes, as long as any decoder takes, plays on to the end."""
    events = await sent(Drawing(500, seconds), PACE)
    codes = [(at, len(event.codes)) for at, event in events if isinstance(event, CodesDrawn)]
    (begun, there), *rest = codes
    for at, size in rest:
        assert at - begun <= 0.05 + there / 50
        there += size


async def test_codes_of_a_short_utterance_go_with_its_end() -> None:
    assert sizes(await sent(Drawing(3, 0.001), PACE)) == [3]


async def test_codes_go_as_they_are_drawn_where_nobody_says_how_they_are_played() -> None:
    assert sizes(await sent(Drawing(5, 0.001), None)) == [1] * 5


async def test_leaving_closes_the_generation() -> None:
    drawing = Drawing(500, 0.001)
    async with aclosing(paced(drawing.events(), PACE, drawing.clock)) as events:
        await anext(events)
    assert drawing.closed


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_codes_that_are_never_played_are_no_pace(rate: float) -> None:
    with pytest.raises(InvalidRequest, match="codes_per_second"):
        pace_of(llm_pb2.GenerateRequest(pace=llm_pb2.Pace(first_codes=1, codes_per_second=rate)))
