"""Cuts a text into segments that the model can speak in one go, where a speaker would pause.

sentencex finds the ends of sentences: it knows abbreviations, initials, decimals, URLs, quotes, ellipses and the stops
of other scripts. Its English rules are used for every language, because a request names none.
"""

# ruff: noqa: RUF001 - the full-width stops are meant.

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import sentencex

from services.gateway.request import Flush, TextPiece
from services.gateway.text.division import divided
from services.gateway.text.ends import has_ended, is_complete, is_label
from services.gateway.text.normalise import normalise
from services.runtime.streams import Pause, with_pauses

# sentencex reads at most this many limits of text in one step, because it takes quadratic time for some texts.
_WINDOW = 20
# Behind which no space need come.
_FULL_STOPS = frozenset("。！？")
_OTHER_SPACE = re.compile(r"[^\S\n]")


def segments(text: str, limit: int) -> Iterator[str]:
    """Sentences, as many to a segment as fit into `limit` characters, and never of two paragraphs.

    A sentence over the limit is divided between clauses, else between words; only a word may stay longer. Apart from
    white space the joined segments are the normalised text; a text with nothing visible has none. Each segment is found
    when it is asked for.
    """
    for paragraph in normalise(text).split("\n\n"):
        held = ""
        for sentence in _sentences(paragraph, limit):
            if held and len((held + sentence).strip()) > limit:
                yield from _fitted(held, limit)
                held = ""
            held += sentence
        yield from _fitted(held, limit)


async def sentences(
    pieces: AsyncGenerator[TextPiece, None],
    limit: int,
    quiet_seconds: float | None = None,
    by_text_alone: bool = False,
) -> AsyncGenerator[str, None]:
    """The same for a text that is still being written; owns `pieces`.

    A sentence is yielded once it is complete, at a `Flush` or at the end of the text; one that outgrows two segments is
    yielded in parts. Once nothing has come for `quiet_seconds`, one is yielded that has probably ended. A long piece is
    looked at in parts, between which others have their turn. `by_text_alone`: the segments do not depend on the pieces
    that the text comes in, so no sentence waits for one that fits beside it.
    """
    written = ""
    if by_text_alone:
        pieces = _words(pieces, limit)
    async with aclosing(with_pauses(pieces, quiet_seconds)) as parts:
        async for part in parts:
            for step in _steps(part, _WINDOW * limit):
                spoken, written = _spoken(written, step, limit)
                for segment in segments(spoken, limit):
                    yield segment
                await asyncio.sleep(0)
    for segment in segments(written, limit):
        yield segment


async def _words(pieces: AsyncGenerator[TextPiece, None], limit: int) -> AsyncGenerator[TextPiece, None]:
    """The same text in pieces that follow from it alone; owns `pieces`. Each ends where a sentence may."""
    word = ""
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Flush):
                yield word
                word = ""
                yield piece
                continue
            for character in piece:
                word += character
                if character.isspace() or word[-2:-1] in _FULL_STOPS or len(word) == limit:
                    yield word
                    word = ""
    yield word


def _steps(part: TextPiece | Pause, window: int) -> Iterator[TextPiece | Pause]:
    if isinstance(part, str):
        return (part[start : start + window] for start in range(0, len(part), window))
    return iter((part,))


def _spoken(written: str, part: TextPiece | Pause, limit: int) -> tuple[str, str]:
    """-> what is to be spoken, and what is still written."""
    match part:
        case Flush():
            return written, ""
        case Pause():
            return (written, "") if has_ended(written) else ("", written)
    return _complete(written + part, limit)


def _complete(written: str, limit: int) -> tuple[str, str]:
    """-> the complete sentences, and the last one, if it may still grow."""
    # sentencex 1.0 panics on other spaces than ASCII's between an initial and its point.
    written = _OTHER_SPACE.sub(" ", written)
    *_, last = ["", *_sentences(written, limit)]
    if is_complete(last):
        return written, ""
    if len(last) > 2 * limit:
        *_, last = divided(last, limit)
    return written[: len(written) - len(last)], last


def _sentences(text: str, limit: int) -> Iterator[str]:
    """Joined they are `text`: each keeps the white space after it, and a label stays with the sentence after it."""
    label = ""
    for sentence in _raw_sentences(text, _WINDOW * limit):
        label += sentence
        if not is_label(label):
            yield label
            label = ""
    if label:
        yield label


def _raw_sentences(text: str, window: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        seen = text[start : start + window]
        found = sentencex.segment("en", seen)
        if start + window < len(text):
            found = found[:-1] or [seen[: seen.rfind(" ") + 1] or seen]
        yield from found
        start += sum(map(len, found))


def _fitted(text: str, limit: int) -> Iterator[str]:
    text = text.strip()
    for part in [text] if len(text) <= limit else divided(text, limit):
        if part:
            yield " ".join(part.split())
