"""Divides one sentence that is too long for a segment."""

# ruff: noqa: RUF001 - the full-width stops are meant.

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate

import numpy as np

# Han and kana have no spaces: a cut may fall between any two, but not before a stop or after an opening bracket.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_STOPS = "。！？；：，、」』）】》〉"
_OPENERS = "（「『【《〈"
_PLACES = re.compile(
    rf"(?<=\s)(?=\S)|(?<=—)(?=\w)|(?<=[{_CJK}{_STOPS}])(?=[\w{_OPENERS}])|(?<=[\w,;:.!?)”’…])(?=[{_CJK}{_OPENERS}])"
)
_CLAUSE_END = re.compile(r"(?:[,;:)\]–—，；：、）」』》…]|\.\.)[\"'”’]*\s*$|\n$")
_ABBREVIATION_END = re.compile(r"\.\s*$")
# The cost of a cut. A segment that is shorter than the limit costs at most 1, so the place of a cut matters more than
# the lengths: after a clause it costs least, after an abbreviation most.
_AFTER_CLAUSE, _AFTER_WORD, _AFTER_ABBREVIATION = 4.0, 16.0, 32.0
# One step divides about this many limits of text, so that the time to the first part stays short.
_WINDOW = 4
# Characters: a sequence of accents, vowel signs or emoji up to this long is kept together when a word has to be cut.
_CLUSTER = 8
_JOINER = "\u200d"


def divided(sentence: str, limit: int) -> Iterator[str]:
    """Parts of at most `limit` characters, white space at their ends not counted; joined they are the sentence.

    The division has the lowest cost: it prefers cuts after clauses to cuts after words, few cuts to many, and parts of
    similar length. A word of up to twice the limit stays whole (a URL); a longer one is cut.
    """
    window: list[str] = []
    size = 0
    for word in (part for whole in _PLACES.split(sentence) for part in _chopped(whole, limit)):
        window.append(word)
        size += len(word)
        if size > _WINDOW * limit:
            *parts, window = _cheapest(window, limit)
            size = sum(map(len, window))
            yield from map("".join, parts)
    yield from map("".join, _cheapest(window, limit))


def _cheapest(words: list[str], limit: int) -> list[list[str]]:
    """Dynamic programming: the cost of the first n words is least where their last part starts at `starts[n]`."""
    ends = np.array([0, *accumulate(map(len, words))])
    costs = np.zeros(len(words) + 1)
    starts = [0]
    for end, word in enumerate(words, start=1):
        visible_end = ends[end] - len(word) + len(word.rstrip())
        # Of parts that fit; and of this word alone, which may not.
        first = min(int(np.searchsorted(ends[:end], visible_end - limit)), end - 1)
        options = costs[first:end] + _cost_of_cut(word) + (1 - (visible_end - ends[first:end]) / limit) ** 2
        start = int(options.argmin())
        costs[end] = options[start]
        starts.append(first + start)
    return _parts(words, starts)


def _parts(words: list[str], starts: list[int]) -> list[list[str]]:
    """starts[n]: where the part that ends with word n starts."""
    parts, end = [], len(words)
    while end > 0:
        parts.append(words[starts[end] : end])
        end = starts[end]
    return parts[::-1]


def _cost_of_cut(word: str) -> float:
    if _CLAUSE_END.search(word):
        return _AFTER_CLAUSE
    return _AFTER_ABBREVIATION if _ABBREVIATION_END.search(word) else _AFTER_WORD


def _chopped(word: str, limit: int) -> Iterator[str]:
    """`word` itself if it is at most twice as long as the limit, else in parts that split no accent off its letter."""
    start = 0
    while len(word.rstrip()) > 2 * limit and len(word) - start > limit:
        latest = start + limit
        ends = range(latest, max(start, latest - _CLUSTER), -1)
        end = next((end for end in ends if not _clings(word[end], word[end - 1])), latest)
        yield word[start:end]
        start = end
    yield word[start:]


def _clings(character: str, previous: str) -> bool:
    return _JOINER in (character, previous) or unicodedata.category(character).startswith("M")
