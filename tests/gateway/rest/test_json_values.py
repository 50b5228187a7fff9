"""The values of a JSON text, counted without parsing it."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.rest.json_text import JsonText
from services.gateway.rest.json_values import JsonValues

TEXTS = st.text('"\\,[{:\n\u00e9a', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def number(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(number, inner))


def empty(value) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else (not inner) + sum(map(empty, inner))


@given(VALUES, st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_it_counts_what_json_would_make_however_it_is_cut(value, cuts, escaped):
    text = json.dumps(value, ensure_ascii=escaped).encode()
    values, places = JsonValues(), [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in pairwise(places):
        values.feed(text[start:end])
    # The bracket of an empty list or object announces a value that does not come.
    assert values.count == number(value) + empty(value)


def test_what_stands_in_a_text_does_not_count():
    values = JsonValues()
    values.feed(json.dumps({"input": '[{,"\\' * 50_000}).encode())
    assert values.count == 2


@given(st.binary(max_size=12) | st.text(max_size=8).map(str.encode), st.lists(st.integers(0, 12), max_size=4))
def test_bytes_are_text_however_they_are_cut_or_no_text_at_the_same_place(data, cuts):
    text, places = JsonText(), [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    try:
        data.decode("utf-8", "surrogatepass")
        wrong = None if b"\0" not in data else data.index(b"\0")
    except UnicodeDecodeError as exc:
        wrong = exc.start
    if wrong is None:
        for start, end in pairwise(places):
            text.feed(data[start:end], end == len(data))
    elif b"\0" not in data:
        with pytest.raises(ValueError, match=f"byte {wrong + 1} is 0x{data[wrong]:02x}"):
            for start, end in pairwise(places):
                text.feed(data[start:end], end == len(data))
    else:
        with pytest.raises(ValueError, match="UTF-8"):
            text.feed(data, True)
