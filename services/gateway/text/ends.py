"""Where a sentence ends that is still being written, and what is none: a label.

sentencex says where sentences end in a text that is there. Whether one has ended whatever comes is found by trying what
may come; whether it has probably ended, by how it looks.
"""

# ruff: noqa: RUF001 - the full-width stops are meant.

import re
from itertools import accumulate

import sentencex

# A label belongs to the sentence after it, even if a stop ends it: a bullet, "1.", "b)", "iv.", a lone quote.
_LABEL = re.compile(r"\W*(?:\d{1,3}|[a-zA-Z]|[ivx]+)?\W*")
# Characters; more than so many stops and bullets are no label, and to look at them again and again takes long.
_LONGEST_LABEL = 40

_CLOSERS = "\"'”’)\\]」』）】"
_COMPLETE = re.compile(rf"[.!?…。！？][{_CLOSERS}]*\s+$")
_ENDED = re.compile(rf"(?P<stops>[.!?…。！？]+)[{_CLOSERS}]*$")
# How a sentence goes on, or the next one begins.
_CONTINUATIONS = ("A", "a", "1", "(", "-", "—", "é", "你")


def is_label(text: str) -> bool:
    return len(text) <= _LONGEST_LABEL and _LABEL.fullmatch(text) is not None


def is_complete(sentence: str) -> bool:
    """Whether it ends with a stop and white space behind which it cannot go on, whatever comes. (Quotation marks may
    always come: sentencex never parts a quotation from the words before it.)
    """
    if _COMPLETE.search(sentence) is None or is_label(sentence):
        return False
    return all(_ends(sentence, continuation) for continuation in _CONTINUATIONS)


def has_ended(sentence: str) -> bool:
    """Whether somebody who has stopped writing has probably ended it: there is a stop, and no number, initial or
    abbreviation before it.
    """
    text = sentence.rstrip()
    found = _ENDED.search(text)
    if found is None or is_label(text):
        return False
    if found["stops"] != ".":
        return True
    return not text[: found.start()][-1:].isdigit() and _ends(text + " ", "A")


def _ends(sentence: str, continuation: str) -> bool:
    """Whether sentencex ends it before `continuation`."""
    found = sentencex.segment("en", f"{sentence}{continuation} b")
    return len(sentence) in accumulate(map(len, found))
