# ruff: noqa: RUF001 - the full-width characters are meant.

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.text.normalise import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a\t b\u00a0\u3000c ", "a b c"),
        ("a \r\n b", "a\nb"),
        ("a\n \n\n\nb", "a\n\nb"),
        ("e\u0301t\u00e9", "\u00e9t\u00e9"),
        ("bell\x07 null\x00 \ufeffmark soft\u00adhyphen zero\u200bwidth", "bell null mark softhyphen zerowidth"),
        ("", ""),
        ("\u200b \n", ""),
    ],
)
def test_white_space_and_invisible_characters_are_tidied(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "text", ["“Hi” — 3.14 €, **bold**…", "你好，世界！", "👩\u200d👩\u200d👧 ok", "می\u200cخواهم", "ﬁ ½ Ａ"]
)
def test_everything_visible_stays(text):
    assert normalise(text) == text


@settings(deadline=None)
@given(st.text())
def test_normalising_again_changes_nothing(text):
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
