import numpy as np
import pytest

from bench.player import Player

RATE = 1000


def tone(seconds: float, level: float = 0.5) -> bytes:
    return np.full(round(seconds * RATE), level * 2**15, np.float32).astype("<i2").tobytes()


def played(*chunks: tuple[float, bytes]) -> Player:
    player = Player(RATE)
    for now, data in chunks:
        player.received(data, now)
    return player


def test_sound_that_keeps_ahead_of_the_player_has_no_underrun() -> None:
    player = played((5.0, tone(1)), (5.9, tone(1)), (7.0, tone(1)))
    assert (player.underrun, player.audio) == (0.0, 3.0)


def test_every_wait_counts_once() -> None:
    """It waits from 1.0 to 1.5 and, having played another second, from 2.5 to 2.75."""
    assert played((0.0, tone(1)), (1.5, tone(1)), (2.75, tone(1))).underrun == pytest.approx(0.75)


def test_what_came_early_makes_up_for_what_comes_late() -> None:
    assert played((0.0, tone(1)), (0.1, tone(2)), (2.9, tone(1))).underrun == 0.0


def test_first_sound_is_the_first_that_can_be_heard() -> None:
    player = played((1.0, tone(1, level=0.0005)), (1.5, tone(1, level=-0.002)), (2.0, tone(1)))
    assert player.first_sound_at == 1.5


def test_silence_is_never_heard() -> None:
    assert played((1.0, tone(1, level=0.0))).first_sound_at is None


def test_sample_cut_in_two_is_one_sample() -> None:
    data = tone(1)
    player = played((0.0, data[:3]), (0.0, data[3:4]), (0.0, data[4:]))
    assert (player.audio, player.first_sound_at) == (1.0, 0.0)


def test_nothing_received_is_no_start() -> None:
    assert played((0.0, b""), (0.0, b"\1"), (9.0, tone(1))).underrun == 0.0
