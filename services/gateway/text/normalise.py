"""Normalises what every voice needs, and no more: words, punctuation, emoji and markup stay as they are."""

import re
import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})
# Arabic and Indic scripts and emoji join characters with these two.
_JOINERS = frozenset("\u200c\u200d")
# Of letters, digits, punctuation and symbols, those that leave a blank: fillers of Hangul, and Braille without a dot.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# A letter has at most so many marks, as in Unicode's stream-safe text (UAX 15): to order a run of marks takes time by
# the square of its length.
_MOST_MARKS = 30


def normalise(text: str) -> str:
    """NFC without control and format characters, nor more marks on a letter than any language has; one space between
    words, one line break between lines, a blank line between paragraphs, no other white space. Idempotent.
    """
    kept = _Kept()
    visible = _capped(text.translate(kept), kept.marks)
    composed = _capped(unicodedata.normalize("NFC", visible), kept.marks)
    lines = "\n".join(" ".join(line.split()) for line in composed.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def is_visible(text: str) -> bool:
    """Whether there is anything but white space, format characters and marks that have no letter."""
    return any(unicodedata.category(each)[0] in "LNPS" and each not in _BLANK for each in text)


def _capped(text: str, marks: set[str]) -> str:
    """`marks`: those that may be in it."""
    if not marks:
        return text
    mark = f"[{''.join(sorted(marks))}]"
    return re.sub(f"(?<!{mark}){mark}{{{_MOST_MARKS + 1},}}", lambda run: run[0][:_MOST_MARKS], text)


class _Kept(dict[int, int | None]):
    """For str.translate: each character to itself, what is invisible to nothing. Looks at each once, for one text only:
    the characters of all texts would fill the memory. `marks`: those that it saw, and
    what they are composed of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.marks: set[str] = set()

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        if unicodedata.combining(character):
            self.marks |= {character, *unicodedata.normalize("NFD", character)}
        kept = character.isspace() or character in _JOINERS or unicodedata.category(character) not in _INVISIBLE
        self[code] = code if kept else None
        return self[code]
