"""Words by part of speech, from lists.txt: words as running text, phrases and forms of verbs between slashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).parent / "lists.txt"
_PHRASES = {"verbs", "moves", "times"}

Forms = tuple[str, str, str, str]
"""A verb: base, third person, past, present participle."""


@dataclass(frozen=True)
class Lists:
    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    adverbs: tuple[str, ...]
    names: tuple[str, ...]
    places: tuple[str, ...]
    determiners: tuple[str, ...]
    plural_determiners: tuple[str, ...]
    pronouns: tuple[str, ...]
    prepositions: tuple[str, ...]
    conjunctions: tuple[str, ...]
    verbs: tuple[Forms, ...]
    moves: tuple[Forms, ...]
    times: tuple[str, ...]

    @classmethod
    @cache
    def read(cls) -> "Lists":
        sections = _sections(_FILE.read_text("utf-8").splitlines())
        words = {name: tuple(" ".join(rows).split()) for name, rows in sections.items() if name not in _PHRASES}
        verbs, moves, times = (_phrases(sections[name]) for name in ("verbs", "moves", "times"))
        return cls(**words, verbs=_forms(verbs), moves=_forms(moves), times=times)


def _sections(lines: Sequence[str]) -> Mapping[str, list[str]]:
    """The lines below each `[name]`."""
    sections: dict[str, list[str]] = {}
    rows: list[str] = []
    for line in lines:
        if line.startswith("["):
            rows = sections.setdefault(line.strip("[]"), [])
        elif line:
            rows.append(line)
    return sections


def _phrases(rows: Sequence[str]) -> tuple[str, ...]:
    return tuple(phrase.strip() for row in rows for phrase in row.split("/"))


def _forms(phrases: Sequence[str]) -> tuple[Forms, ...]:
    forms: list[Forms] = []
    for phrase in phrases:
        base, third, past, participle = phrase.split()
        forms.append((base, third, past, participle))
    return tuple(forms)
