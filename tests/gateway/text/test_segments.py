# ruff: noqa: RUF001 - the full-width stops are meant.

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.text.normalise import normalise
from services.gateway.text.segments import segments

PIECES = [
    "Dr. ",
    "e.g. ",
    "3.14",
    "https://a.b/c?d. ",
    "... ",
    "1. ",
    "\n\n",
    "\n",
    ". ",
    "? ",
    "，",
    "。",
    "你好",
    "word ",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=30).map("".join)
LIMITS = st.sampled_from([1, 7, 45, 200])


def without_space(text):
    return "".join(text.split())


@settings(deadline=None)
@given(TEXTS, LIMITS)
def test_nothing_is_lost_or_made_up(text, limit):
    assert without_space("".join(segments(text, limit))) == without_space(normalise(text))


@settings(deadline=None)
@given(TEXTS, LIMITS)
def test_only_a_single_word_is_longer_than_the_limit(text, limit):
    for segment in segments(text, limit):
        assert len(segment) <= limit or len(segment.split()) == 1
        assert len(segment) <= 2 * limit


@settings(deadline=None)
@given(TEXTS, LIMITS)
def test_segments_are_tidy(text, limit):
    for segment in segments(text, limit):
        assert segment
        assert segment == " ".join(segment.split())


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith met J. R. R. Tolkien vs. Prof. X.",
        "It costs $3.14, e.g. at 5 p.m. on Jan. 5th.",
        "See https://example.com/a.b?c=d.e for more.",
        "Wait... what?",
        "Version 2.0.1 of the U.S. law, i.e. this.",
    ],
)
def test_points_inside_a_sentence_do_not_end_it(text):
    assert list(segments(f"{text} It ended.", len(text))) == [text, "It ended."]


def test_short_sentences_share_a_segment_up_to_the_limit():
    text = "One is here. Two is here. Three is here. Four is here."
    assert list(segments(text, 200)) == [text]
    assert list(segments(text, 30)) == ["One is here. Two is here.", "Three is here. Four is here."]
    assert list(segments(text, 25)) == ["One is here. Two is here.", "Three is here.", "Four is here."]


def test_long_sentences_are_divided_at_clauses_first():
    text = "The sun went down behind the hills, and nobody noticed; we were asleep."
    assert list(segments(text, 45)) == ["The sun went down behind the hills,", "and nobody noticed; we were asleep."]


def test_long_clauses_are_divided_at_words_into_parts_of_like_length():
    text = "one two three four five six seven eight nine ten"
    assert list(segments(text, 40)) == ["one two three four five", "six seven eight nine ten"]


def test_no_part_ends_with_an_abbreviation():
    assert list(segments("we all went to see Dr. Smith and all his wives", 30)) == [
        "we all went to see",
        "Dr. Smith and all his wives",
    ]


def test_chinese_is_cut_at_its_own_stops_without_spaces():
    text = "今天天气很好。我们去公园吧！好吗？天气很好，我们走吧；快点。"
    assert list(segments(text, 10)) == ["今天天气很好。", "我们去公园吧！好吗？", "天气很好，", "我们走吧；快点。"]


def test_chinese_without_stops_is_cut_between_characters():
    parts = list(segments("一二三四五六七八九十", 4))
    assert "".join(parts) == "一二三四五六七八九十"
    assert sorted(map(len, parts)) == [3, 3, 4]


def test_paragraphs_do_not_share_a_segment():
    assert list(segments("A title\n\nThe first words.", 200)) == ["A title", "The first words."]


def test_a_label_goes_with_what_it_labels():
    assert list(segments("1. Take some eggs. 2. Beat them well.", 20)) == ["1. Take some eggs.", "2. Beat them well."]


def test_quotes_stay_with_their_sentence():
    assert list(segments('He said "Stop it now." Then he left.', 24)) == ['He said "Stop it now."', "Then he left."]


@pytest.mark.parametrize("text", [".", "...", "?!", "😀", "**", '"'])
def test_punctuation_alone_is_a_segment(text):
    assert list(segments(text, 45)) == [text]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u200b"])
def test_nothing_visible_is_no_segment(text):
    assert list(segments(text, 45)) == []


def test_a_url_over_the_limit_stays_whole():
    url = "https://www.example.com/a/path/to/some/page"
    assert list(segments(f"See {url} now.", 30)) == ["See", url, "now."]


def test_a_word_of_many_limits_is_cut_but_not_between_letter_and_accent():
    parts = list(segments("x\u0323\u0307" * 40, 9))
    assert all(len(part) <= 9 and not part.startswith(("\u0323", "\u0307")) for part in parts)


@pytest.mark.parametrize("text", ["A\u00a0.", "Y\u3000. Z", "X\u2003.b"])
def test_a_space_that_is_not_ascii_before_a_point_is_a_space(text):
    """sentencex 1.0.32 panics on the raw text."""
    assert "".join(segments(text, 45)) == normalise(text)


def test_words_stay_whole_in_a_text_without_an_end():
    text = " ".join(["seven77"] * 500)
    assert " ".join(segments(text, 45)) == text


def test_dashes_without_spaces_part_clauses():
    assert list(segments("the very first clause—and after it the second one", 30)) == [
        "the very first clause—",
        "and after it the second one",
    ]


def test_chinese_may_be_cut_next_to_latin_words():
    assert list(segments("我有一个iPhone手机在家里", 10)) == ["我有一个iPhone", "手机在家里"]


@pytest.mark.parametrize("character", ["中。", "“", "\u0301"])
def test_no_text_takes_quadratic_time(character):
    """Four times the text takes four times the CPU, not sixteen times as sentencex would for the first two."""

    def cost(length: int) -> float:
        start = time.process_time()
        list(segments(character * (length // len(character)), 45))
        return time.process_time() - start

    few, many = (min(cost(length) for _ in range(3)) for length in (50_000, 200_000))
    assert many < 12 * few
