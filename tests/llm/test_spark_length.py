import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.families.spark.length import longest_seconds, shortest_seconds

# Text, and the seconds that a usual speaker takes for it.
SPOKEN = [
    ("A bright new morning begins.", 2.0),
    ("The quick brown fox jumps over the lazy dog, and nobody minds.", 4.0),
    ("Call 555 0199 before 2 o'clock.", 4.5),
    ("NASA and the FBI.", 2.0),
    ("让智能语音更自然。", 2.0),
    ("Добрый день, как ваши дела?", 2.0),
]


@pytest.mark.parametrize(("text", "seconds"), SPOKEN)
def test_bound_leaves_room_for_slow_speech_and_no_more(text: str, seconds: float) -> None:
    assert 1.5 * seconds <= longest_seconds(text) <= 3 * seconds + 1.5


@pytest.mark.parametrize(("text", "seconds"), SPOKEN)
def test_the_least_is_faster_than_anybody_speaks(text: str, seconds: float) -> None:
    assert seconds / 5 <= shortest_seconds(text) <= seconds / 2


def test_punctuation_alone_is_bounded_to_a_moment() -> None:
    assert longest_seconds(".") < 2


@given(st.text(), st.text())
def test_more_text_never_has_a_lower_bound(text: str, more: str) -> None:
    assert longest_seconds(text + more) >= longest_seconds(text) >= 1.5
