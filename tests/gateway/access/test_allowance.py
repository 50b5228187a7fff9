import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.access.allowance import Allowance
from services.gateway.access.key import KeyLimits
from services.runtime.errors import RateLimited


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def spend(allowance: Allowance, count: int) -> None:
    with allowance.characters(count):
        pass


def test_without_limits_nothing_is_counted(clock):
    allowance = Allowance(KeyLimits(), clock)
    with allowance.request(), allowance.request():
        spend(allowance, 10**9)
        spend(allowance, 10**9)


def test_requests_at_once_are_limited_and_their_end_lets_others_in(clock):
    allowance = Allowance(KeyLimits(requests_at_once=1), clock)
    with allowance.request(), pytest.raises(RateLimited) as raised, allowance.request():
        pass
    assert raised.value.retry_after
    with allowance.request():
        pass


@given(limit=st.integers(1, 10_000), texts=st.lists(st.tuples(st.integers(0, 50_000), st.floats(0, 30)), max_size=20))
def test_the_time_to_come_again_is_true(limit, texts):
    clock = Clock()
    allowance = Allowance(KeyLimits(characters_a_minute=limit), clock)
    for count, pause in texts:
        clock.now += pause
        try:
            spend(allowance, count)
        except RateLimited as refused:
            clock.now += refused.retry_after * 0.98 - 0.01
            with pytest.raises(RateLimited):
                spend(allowance, count)
            clock.now += refused.retry_after * 0.02 + 0.02
            spend(allowance, count)


@given(limit=st.integers(1, 1000), counts=st.lists(st.integers(1, 5000), min_size=1, max_size=50))
def test_no_more_is_spoken_than_the_rate_allows_and_one_minute_beside_the_last_text(limit, counts):
    clock = Clock()
    started, spent = clock.now, 0
    allowance = Allowance(KeyLimits(characters_a_minute=limit), clock)
    for count in counts:
        try:
            spend(allowance, count)
        except RateLimited:
            clock.now += 1.0
        else:
            spent += count
            assert spent <= limit + (clock.now - started) * limit / 60 + max(0, count - limit) + 1e-6


def test_text_that_was_not_spoken_is_given_back(clock):
    allowance = Allowance(KeyLimits(characters_a_minute=10), clock)
    with pytest.raises(ValueError, match="no"), allowance.characters(10):
        raise ValueError("no")
    spend(allowance, 10)


def test_what_was_left_is_told(clock):
    allowance = Allowance(KeyLimits(characters_a_minute=60), clock)
    spend(allowance, 60)
    with pytest.raises(RateLimited, match="0 of its 60") as raised:
        spend(allowance, 30)
    assert raised.value.retry_after == pytest.approx(30)
