"""Finds the gender, pitch and speed of a designed voice in free English instructions. No model here understands more,
so all other words are ignored; words that contradict each other count as absent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.contract.design import Gender, Level
from services.gateway.request import Style

_INTENSE = r"\b(?:very|extremely|really|super)[ _-]+"
_VERY = f"(?:{_INTENSE})?"
_NEGATED = re.compile(r"(?:\b(?:not|never|without|avoid|no|less)|n't)(?: +(?:be|speak|talk|sound|too|so|that|an?))* *$")
_STRONGER = {Level.LOW: Level.VERY_LOW, Level.HIGH: Level.VERY_HIGH}

_GENDERS = {
    Gender.FEMALE: re.compile(r"\b(?:female|feminine|woman|women|girl|lady)\b"),
    Gender.MALE: re.compile(r"\b(?:male|masculine|man|men|boy|gentleman)\b"),
}


@dataclass(frozen=True)
class _Scale:
    """`adjectives` count beside one of `nouns`, `words` alone; all are alternatives of a regular expression."""

    nouns: str
    adjectives: Mapping[Level, str]
    words: Mapping[Level, str]

    def find(self, text: str) -> Level | None:
        levels = set(self._mentions(text))
        return levels.pop() if len(levels) == 1 else None

    def _mentions(self, text: str) -> Iterator[Level]:
        for level, adjectives in self.adjectives.items():
            forms = [
                f"{_VERY}(?:{adjectives})[ _-](?:{self.nouns})",
                f"(?:{self.nouns})(?: is|:| =)? *{_VERY}(?:{adjectives})",
                *([f"{_VERY}(?:{self.words[level]})"] if level in self.words else []),
            ]
            for match in re.finditer(rf"\b(?:{'|'.join(forms)})\b", text):
                if not _NEGATED.search(text[max(0, match.start() - 40) : match.start()]):
                    yield _STRONGER.get(level, level) if re.search(_INTENSE, match.group()) else level


_MODERATE = "moderate|medium|normal|average"
_PITCH = _Scale(
    nouns="pitch(?:ed)?|voiced?|tone",
    adjectives={Level.LOW: "low(?:er)?|deep(?:er)?", Level.MODERATE: _MODERATE, Level.HIGH: "high(?:er)?"},
    words={Level.LOW: "deep(?:er|ly)?"},
)
_SPEED = _Scale(
    nouns="speed|pace|rate|tempo",
    adjectives={Level.LOW: "slow(?:er)?|low", Level.MODERATE: _MODERATE, Level.HIGH: "fast(?:er)?|quick(?:er)?|high"},
    words={Level.LOW: "slow(?:er|ly)?|unhurried|leisurely", Level.HIGH: "fast(?:er)?|quick(?:er|ly)?|rapid(?:ly)?"},
)


def style_of(instructions: str) -> Style:
    text = instructions.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    genders = [gender for gender, words in _GENDERS.items() if words.search(text)]
    return Style(genders[0] if len(genders) == 1 else None, _PITCH.find(text), _SPEED.find(text))
