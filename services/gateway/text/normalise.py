"""Normalises what every voice needs, and no more: words, punctuation, emoji and markup stay as they are."""

import re
import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})
# Arabic and Indic scripts and emoji join characters with these two.
_JOINERS = frozenset("\u200c\u200d")


def normalise(text: str) -> str:
    """NFC without control and format characters; one space between words, one line break between lines, a blank line
    between paragraphs, no other white space. Idempotent.
    """
    visible = unicodedata.normalize("NFC", "".join(filter(_is_visible, text)))
    lines = "\n".join(" ".join(line.split()) for line in visible.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _is_visible(character: str) -> bool:
    return character.isspace() or character in _JOINERS or unicodedata.category(character) not in _INVISIBLE
