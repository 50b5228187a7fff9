import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.request import Flush
from services.gateway.text.normalise import normalise
from services.gateway.text.segments import sentences


class Writer:
    """A text that is being written piece by piece; counts the pieces that were asked for."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.asked = 0
        self.closed = False

    async def __call__(self):
        try:
            for piece in self.pieces:
                self.asked += 1
                yield piece
        finally:
            self.closed = True


async def spoken(*pieces, limit=45):
    return [segment async for segment in sentences(Writer(*pieces)(), limit)]


async def test_a_sentence_is_spoken_once_the_next_has_begun():
    writer = Writer("Hello the", "re. How", " are you? Fi", "ne.")
    source = sentences(writer(), 45)
    assert await anext(source) == "Hello there."
    assert writer.asked == 2
    assert await anext(source) == "How are you?"
    assert writer.asked == 3
    assert [segment async for segment in source] == ["Fine."]


@pytest.mark.parametrize("end", [". ", "! ", "?\n", "。 "])
async def test_a_sentence_that_cannot_go_on_is_spoken_at_once(end):
    writer = Writer(f"Hello there{end}", "Bye.")
    source = sentences(writer(), 45)
    assert await anext(source) == f"Hello there{end}".strip()
    assert writer.asked == 1
    await source.aclose()


class Silence:
    """A writer who says this and then nothing more."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.closed = False

    async def __call__(self):
        try:
            for piece in self.pieces:
                yield piece
            await asyncio.Event().wait()
        finally:
            self.closed = True


@pytest.mark.parametrize(
    "text", ["Hello there.", "Wait...", "Wait… ", 'He said "no."', "你好。", "Really?!", "It is 9!"]
)
async def test_what_has_probably_ended_is_spoken_after_a_pause(text):
    writer = Silence(text)
    source = sentences(writer(), 45, quiet_seconds=0.01)
    assert await anext(source) == text.strip()
    await source.aclose()
    assert writer.closed


@pytest.mark.parametrize("text", ["Hello", "It is 3.", "John F.", "I met Dr. ", "At 5 p.m. ", "1. ", "...", "So: "])
async def test_what_may_go_on_waits_however_long(text):
    source = sentences(Silence(text)(), 45, quiet_seconds=0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await anext(source)


async def test_a_long_piece_is_looked_at_in_parts_between_which_others_have_their_turn():
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert len(await spoken("This is it, and no more. " * 2000)) >= 1000
    task.cancel()
    assert turns >= 50


async def test_what_may_still_grow_is_not_spoken():
    assert await spoken("It is 3", ".", "14", " by Dr", ". ", "Whale", ".") == ["It is 3.14 by Dr. Whale."]


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet='Ab. !?1\n"()。你', max_size=200), st.lists(st.integers(0, 200), max_size=20))
async def test_by_the_text_alone_no_segment_depends_on_the_pieces(text, cuts):
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    in_pieces = Writer(*(text[start:end] for start, end in pairwise(ends)))
    whole = [segment async for segment in sentences(Writer(text)(), 12, by_text_alone=True)]
    assert [segment async for segment in sentences(in_pieces(), 12, by_text_alone=True)] == whole


async def test_a_flush_speaks_what_there_is():
    writer = Writer("One moment", Flush(), " please.", Flush(), Flush())
    source = sentences(writer(), 45)
    assert await anext(source) == "One moment"
    assert writer.asked == 2
    assert [segment async for segment in source] == ["please."]


async def test_sentences_of_one_piece_share_a_segment():
    assert await spoken("Yes! No! Why? Be", "cause.") == ["Yes! No! Why?", "Because."]


async def test_an_endless_sentence_is_spoken_in_parts():
    writer = Writer(*["and so on "] * 50)
    source = sentences(writer(), 45)
    first = await anext(source)
    assert writer.asked <= 10
    rest = [segment async for segment in source]
    assert " ".join([first, *rest]) == " ".join(["and so on"] * 50)
    assert max(map(len, [first, *rest])) <= 45


async def test_a_label_waits_for_what_it_labels():
    assert await spoken("1", ". ", "Milk is", " white. ", "2. ", "Eggs.") == ["1. Milk is white.", "2. Eggs."]


async def test_spaces_that_are_not_ascii_are_spaces():
    """sentencex 1.0.32 panics on the raw text."""
    assert await spoken("Plan X\u00a0", ". It", " is good.") == ["Plan X .", "It is good."]


async def test_no_piece_and_empty_pieces_are_silent():
    assert await spoken() == await spoken("", " ", "\n") == []


async def test_an_abandoned_text_is_closed():
    writer = Writer("One. Two. Th", "ree.")
    source = sentences(writer(), 45)
    await anext(source)
    await source.aclose()
    assert writer.closed


PIECES = st.sampled_from(["Dr. ", "Hi. ", "3.", "14", "你好。", "\u00a0", "\n\n", "word ", "e.g. ", "…"])


@settings(deadline=None)
@given(st.lists(PIECES | st.text(max_size=5)))
async def test_nothing_is_lost_or_made_up(pieces):
    text = "".join(await spoken(*pieces, limit=20))
    assert "".join(text.split()) == "".join(normalise("".join(pieces)).split())
