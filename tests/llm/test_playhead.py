from dataclasses import dataclass, replace

import pytest

from services.contract.generation import Pace
from services.llm.playhead import Playhead

PACE = Pace(first_frames=10, frames_per_second=50)


@dataclass(frozen=True)
class Sent:
    """After so many seconds."""

    at: float
    tokens: int


def sent(tokens: int, seconds: float, *, needs: int = 10, pace: Pace = PACE, tokens_per_frame: int = 1) -> list[Sent]:
    """The messages, but for the last, of a model that draws a token every `seconds`."""
    now, held, messages = 100.0, 0, list[Sent]()
    playhead = Playhead(pace, tokens_per_frame, needs, lambda: now)
    for token in range(1, tokens):
        now = 100.0 + token * seconds
        held += 1
        if playhead.due(held):
            messages.append(Sent(now - 100.0, held))
            held = 0
    return messages


def test_first_sound_comes_whole_and_at_once() -> None:
    first, *_ = sent(100, 0.001)
    assert first == Sent(pytest.approx(0.010), 10)


def test_what_is_drawn_before_the_first_frame_makes_no_sound() -> None:
    first, *_ = sent(136, 0.001, needs=46)
    assert first == Sent(pytest.approx(0.046), 46)


def test_frames_of_a_fast_model_go_in_few_messages() -> None:
    assert len(sent(500, 0.0005)) <= 3


def test_frame_of_several_tokens_plays_as_long() -> None:
    one, seven = sent(500, 0.001), sent(3500, 0.001 / 7, needs=70, tokens_per_frame=7)
    assert [message.at for message in seven] == pytest.approx([message.at for message in one], abs=0.002)


@pytest.mark.parametrize("prelude", [0, 36])
@pytest.mark.parametrize("seconds", [0.001, 0.005, 0.01, 0.015])
def test_listener_never_waits_for_frames_that_are_held(seconds: float, prelude: int) -> None:
    """Who starts a twentieth of a second after the first frames, as long as any decoder takes, plays on to the end."""
    first, *rest = sent(prelude + 500, seconds, needs=prelude + 10)
    there = first.tokens - prelude
    for message in rest:
        assert message.at - first.at <= 0.05 + there / 50
        there += message.tokens


def test_frames_of_a_short_utterance_go_with_its_end() -> None:
    assert not sent(3, 0.001)


@pytest.mark.parametrize("ahead", [0.4, 2.0])
@pytest.mark.parametrize("seconds", [0.001, 0.01])
def test_listener_of_a_lost_replica_plays_on(ahead: float, seconds: float) -> None:
    first, *rest = sent(3000, seconds, needs=0, pace=replace(PACE, ahead_seconds=ahead))
    assert first.at >= ahead / 4
    there = 0
    for message in (first, *rest):
        assert message.at <= ahead + there / 50
        there += message.tokens


@pytest.mark.parametrize("ahead", [0.0, -3.0])
def test_listener_who_waits_already_gets_the_next_frame_at_once(ahead: float) -> None:
    first, second, *_ = sent(500, 0.001, needs=0, pace=replace(PACE, ahead_seconds=ahead))
    assert first.tokens == 1
    assert second.at - first.at == pytest.approx(0.05, abs=0.002)
