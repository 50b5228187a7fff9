"""English as Kokoro reads it: phonemes with stress, from misaki's dictionaries.

Of misaki only the dictionaries are read: its own front end needs spaCy. Forms that the dictionaries lack are made of
their base form; a text with a word that is in neither has no phonemes.
"""

import json
import re
from collections.abc import Mapping
from importlib.resources import files

MARKS = ",.;:!?"
_WEAK = {"a": "ɐ", "an": "ɐn", "the": "ðə", "to": "tə", "and": "ænd", "i": "ˌI"}
_VOICELESS, _SIBILANTS, _DENTALS = "ptkfθ", "szʃʒʧʤ", "td"


class UnknownWord(ValueError):
    """Neither the word nor its base form is in the dictionaries."""


class Pronunciation:
    def __init__(self, words: Mapping[str, str]) -> None:
        """words: lower case, to phonemes."""
        self._words = words

    @classmethod
    def read(cls) -> "Pronunciation":
        """From the installed package misaki."""
        words: dict[str, str] = {}
        for name in ("us_silver", "us_gold"):
            entries = json.loads((files("misaki") / "data" / f"{name}.json").read_text("utf-8"))
            for word, said in entries.items():
                plain = said if isinstance(said, str) else said.get("DEFAULT")
                if plain and word.lower() not in (words if word != word.lower() else ()):
                    words[word.lower()] = plain
        return cls({**words, **_WEAK})

    def of(self, text: str) -> str:
        """Words between spaces, marks behind them. Raises UnknownWord."""
        spoken: list[str] = []
        for token in re.findall(rf"[\w'’]+|[{re.escape(MARKS)}]", text):
            if token in MARKS:
                spoken[-1:] = [(spoken[-1] if spoken else "") + token]
            else:
                spoken.append(self._word(token.lower().replace("’", "'")))
        return " ".join(spoken)

    def _word(self, word: str) -> str:
        said = self._words.get(word) or self._inflected(word)
        if said is None:
            raise UnknownWord(word)
        return said

    def _inflected(self, word: str) -> str | None:
        for ending, bases in _BASES.items():
            if word.endswith(ending):
                stem = word[: -len(ending)]
                for base in (stem + end for end in bases):
                    if base in self._words:
                        return self._words[base] + _ENDINGS[ending](self._words[base][-1])
        return None


def _s(last: str) -> str:
    return "ᵻz" if last in _SIBILANTS else "s" if last in _VOICELESS else "z"


def _ed(last: str) -> str:
    return "ᵻd" if last in _DENTALS else "t" if last in _VOICELESS + _SIBILANTS[::2] + "ʧ" else "d"


def _ing(last: str) -> str:
    return "ɪŋ"


_BASES = {"'s": ("",), "ies": ("y",), "es": ("e", ""), "s": ("",), "ied": ("y",), "ed": ("e", ""), "ing": ("", "e")}
_ENDINGS = {"'s": _s, "ies": _s, "es": _s, "s": _s, "ied": _ed, "ed": _ed, "ing": _ing}
