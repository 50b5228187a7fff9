from dataclasses import dataclass

import pytest

from services.llm.pace import Pace, Playhead
from services.llm.wire import pace_of
from services.runtime.errors import InvalidRequest
from voxline.v1 import llm_pb2

PACE = Pace(first_codes=10, codes_per_second=50)


@dataclass(frozen=True)
class Sent:
    """After so many seconds."""

    at: float
    codes: int


def sent(codes: int, seconds: float, prelude: int = 0) -> list[Sent]:
    """The messages, but for the last, of a model that draws a token every `seconds`."""
    now, held, messages = 100.0, 0, list[Sent]()
    playhead = Playhead(PACE, prelude, lambda: now)
    for token in range(1, prelude + codes):
        now = 100.0 + token * seconds
        held += 1
        if playhead.due(held):
            messages.append(Sent(now - 100.0, held))
            held = 0
    return messages


def test_first_sound_comes_whole_and_at_once() -> None:
    first, *_ = sent(100, 0.001)
    assert first == Sent(pytest.approx(0.010), 10)


def test_what_is_drawn_before_the_first_code_makes_no_sound() -> None:
    first, *_ = sent(100, 0.001, prelude=36)
    assert first == Sent(pytest.approx(0.046), 46)


def test_codes_of_a_fast_model_go_in_few_messages() -> None:
    assert len(sent(500, 0.0005)) <= 3


@pytest.mark.parametrize("prelude", [0, 36])
@pytest.mark.parametrize("seconds", [0.001, 0.005, 0.01, 0.015])
def test_listener_never_waits_for_codes_that_are_held(seconds: float, prelude: int) -> None:
    """Who starts a twentieth of a second after the first codes, as long as any decoder takes, plays on to the end."""
    first, *rest = sent(500, seconds, prelude)
    there = first.codes - prelude
    for message in rest:
        assert message.at - first.at <= 0.05 + there / 50
        there += message.codes


def test_codes_of_a_short_utterance_go_with_its_end() -> None:
    assert not sent(3, 0.001)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_codes_that_are_never_played_are_no_pace(rate: float) -> None:
    with pytest.raises(InvalidRequest, match="codes_per_second"):
        pace_of(llm_pb2.GenerateRequest(pace=llm_pb2.Pace(first_codes=1, codes_per_second=rate)))
