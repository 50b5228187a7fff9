"""Texts that are made to take long: each of one class, in several sizes."""

import random
from collections.abc import Iterator, Mapping

# What is said again and again, up to a size in characters.
_REPEATED: Mapping[str, str] = {
    "words": "hello world, this is it. ",
    "one word": "a",
    "letters": "a ",
    "digits": "1234567890",
    "marks": "\u0301\u0316",
    "composed marks": "\u0344",
    "letters with marks": "e\u0301\u0323",
    "stops": ".",
    "stops in lines": "!\n",
    "points in lines": ".\n",
    "stops with spaces": ". ",
    "questions": "?!",
    "ellipses": "…",
    "labels": "1. ",
    "labels in lines": "1.\n",
    "lettered labels": "a) ",
    "quotes": '"',
    "typographic quotes": "“",
    "quotations": '"a" ',
    "apostrophes": "'",
    "brackets": "(",
    "pairs of brackets": "()",
    "tags": "<a>",
    "initials": "A. ",
    "initialisms": "U.S.",
    "abbreviations": "Dr. ",
    "latin abbreviations": "e.g. ",
    "commas": ",",
    "dashes": "—",
    "addresses": "http://a.b/",
    "families": "👩\u200d👩\u200d👧",
    "joiners": "\u200d",
    "han": "你",
    "chinese sentences": "你好。",
    "jamo": "\u1100\u1161",
    "hebrew": "שלום. ",
    "ligatures": "\ufdfa",
    "lines": "\n",
    "paragraphs": "a\n\n",
    "hard spaces": "a\u00a0",
    "headings": "# a\n",
    "controls": "a\x01",
}
_SIZES = (10, 100, 300, 1000, 3000, 10_000, 20_000, 50_000)
_LETTERS = "ab .!?\n,1\"'()\u0301你。“”-:;/"
_RANDOM, _MIXED = 600, 1200


def worst_texts() -> Iterator[tuple[str, str]]:
    """(class and size, text); more than 2000, the same each time. Half of them are small."""
    for name, part in _REPEATED.items():
        for size in _SIZES:
            yield f"{name}, {size}", ("a" + part * (size // len(part) + 1))[:size]
    source = random.Random(19)
    for number in range(_RANDOM):
        size = source.choice(_SIZES[:6])
        yield f"random {number}, {size}", "".join(source.choices(_LETTERS, k=size))
    for number in range(_MIXED):
        size = source.choice(_SIZES[:6])
        yield f"mixed {number}, {size}", _mixed(source, size)


def _mixed(source: random.Random, size: int) -> str:
    """Runs of several classes, one behind the other."""
    text = ""
    while len(text) < size:
        text += source.choice(list(_REPEATED.values())) * source.randrange(1, max(2, size // 20))
    return text[:size]
