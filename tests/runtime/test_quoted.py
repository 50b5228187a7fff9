import pytest

from services.runtime.quoted import quoted


@pytest.mark.parametrize("value", ["", "Ann", "é" * 100])
def test_a_short_value_is_shown_as_it_is(value):
    assert quoted(value) == f"'{value}'"


@pytest.mark.parametrize("length", [101, 5_000_000])
def test_of_a_long_value_a_hundred_characters_are_shown(length):
    assert quoted("x" * length) == f"'{'x' * 99}…'"


def test_what_is_shown_can_be_sent():
    assert quoted("a\ud800b") == "'a?b'"
