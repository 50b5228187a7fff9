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


async def test_what_may_still_grow_is_not_spoken():
    assert await spoken("It is 3", ".", "14", " by Dr", ". ", "Whale", ".") == ["It is 3.14 by Dr. Whale."]


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
