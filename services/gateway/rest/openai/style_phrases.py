"""What a clause of instructions asks for, by its phrases: "slowly", "in a deep male voice", "like an old man"."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.contract.design import Gender, Level
from services.gateway.rest.openai import style_words as words
from services.gateway.rest.openai.style_words import DEGREE, END, START, WORD

_STRONGER = {Level.LOW: Level.VERY_LOW, Level.HIGH: Level.VERY_HIGH}

_USE = re.compile(
    rf"{words.POLITE}(?:(?:use|using|adopt|with|in|at|give (?:me|it)|i want|i'd like|i would like|i need|choose|pick|"
    "select|have|employ|assume|maintain|keep|take on) )?"
)
VOICE = re.compile(
    rf"(?:(?:a|an|the|your) )?{DEGREE}(?P<words>(?:{WORD}(?: and | )){{0,5}}?)"
    rf"(?P<noun>{words.PITCH_NOUNS}|{words.SPEED_NOUNS}){END}(?: of (?:voice|speech))?"
)
A_VOICE = re.compile(rf"(?:with |in |at |and )?{VOICE.pattern}")
ADVERB = re.compile(rf"{START}{DEGREE}(?P<speed>{'|'.join(words.SPEEDS.values())}){END}")
_DEEP = re.compile(rf"{START}{DEGREE}(?P<pitch>{words.DEEP}){END}")
_SEX = re.compile(rf"(?:more |adult |young |old |elderly )?(?P<sex>{words.ANY_SEX}){END}(?=$| please| and)")
_PERSON = re.compile(
    rf"(?:an?|one) (?:{WORD} ){{0,4}}?(?P<sex>{words.ANYBODY}){END}"
    r"(?=$| (?:in|with|from|of|who|whose|on|at|to|please|\w+ing)\b)|"
    rf"(?:(?:an?|the|one) )?(?:{WORD} ){{0,3}}?(?P<adjective>{words.ANY_SEX}) (?:{WORD} )?(?:{words.SPEAKERS}){END}"
)
_SOMEBODY = re.compile(rf"an? (?:{WORD} ){{0,3}}?(?P<sex>{words.ANY_SEX})(?: {WORD}){{1,2}}")

# Between a verb and how it is done: what leads to somebody else's doing.
_AWAY = re.compile(
    rf"{START}(?:about|of|who|whom|whose|which|that|how|why|what|where|he|she|they|we|i|people|whether|from|for|"
    rf"including|containing|named|called|\w{{2,}}ing){END}"
)
_ALIKE = re.compile(r"\b(?:like|as)(?: you (?:are|were))? (?=(?:an?|one) )")
_PHRASE = re.compile(rf"(?:an? )?(?:{WORD}(?: |$)){{0,5}}")
_JOINT = re.compile("(?:(?: and)?(?: with| in| at)? |$)?")
_SEX_VALUE = rf"(?:an? )?(?:adult |young |old |elderly )?(?:{words.ANY_SEX}|{words.ANYBODY})"
TO_LISTENERS = re.compile(
    r"\bto (?:me|us|them|(?:the|your|an) (?:audience|listeners?|users?|customers?|callers?|class))\b"
)
_TAIL = re.compile(
    rf"$| (?:please|enough|and|or|with|in|like|as|for|to|so|than|at|throughout|now|today|always|indeed|here){END}"
)
# What may end a clause that is nothing but wishes.
_ENDING = re.compile(
    rf" (?:and|with an?|in (?:her|his|their)|from) {WORD}(?: {WORD}){{0,2}}$| (?:please|throughout|enough|always|now)$"
)
_BESIDE = re.compile(rf"{WORD}(?= and )")
# Words that may stand beside wishes: they speak of nobody.
PLAIN = re.compile(rf"(?:(?:with|in|at|and) )*(?:your )?{DEGREE}{WORD}(?: {DEGREE}(?:and )?{WORD}){{0,4}}")


@dataclass
class Wishes:
    """All that is asked for, to be compared in the end."""

    genders: set[Gender] = field(default_factory=set)
    pitches: set[Level] = field(default_factory=set)
    speeds: set[Level] = field(default_factory=set)

    def add(self, other: "Wishes") -> None:
        self.genders |= other.genders
        self.pitches |= other.pitches
        self.speeds |= other.speeds

    def __bool__(self) -> bool:
        return bool(self.genders or self.pitches or self.speeds)


def person(clause: str, place: int) -> Wishes:
    person = _PERSON.match(clause, place) or _SOMEBODY.match(clause, place)
    if person is None:
        return Wishes()
    wishes = Wishes(_genders(person[0]))
    if described := re.compile(" (?:with|in) ").match(clause, person.end()):
        wishes.add(_of_voice(VOICE.match(clause, described.end())))
    if speaking := re.compile(" (?:speaking|talking)(?= )").match(clause, person.end()):
        wishes.add(how(clause[speaking.end() :]))
    return wishes


def how(rest: str) -> Wishes:
    """Of what follows a verb of speaking."""
    wishes = Wishes()
    for adverb in ADVERB.finditer(rest):
        if not _AWAY.search(rest, 0, adverb.start()) and _TAIL.match(rest, adverb.end()):
            wishes.speeds |= _levels(adverb[0], words.SPEEDS)
    for preposition in re.finditer(r"\b(?:in|with|using|at) ", rest):
        if not _to_others(rest[: preposition.start()]):
            wishes.add(_of_voice(VOICE.match(rest, preposition.end())))
    for alike in _ALIKE.finditer(rest):
        if not _to_others(rest[: alike.start()]):
            wishes.add(person(rest, alike.end()))
            wishes.speeds |= _levels(_matched(_PHRASE, rest, alike.end())[0], words.DOERS)
    if (deep := _DEEP.search(rest)) and _TAIL.match(rest, deep.end()) and PLAIN.fullmatch(rest[: deep.end()].strip()):
        wishes.pitches |= _levels(deep[0], words.PITCHES)
    if sex := _SEX.match(rest.strip()):
        wishes.genders |= _genders(sex[0])
    return wishes


def _to_others(before: str) -> bool:
    """Whether somebody but the speaker and the listeners is spoken of."""
    told = TO_LISTENERS.sub("", before)
    return bool(_AWAY.search(told) or re.search(r"\bto\b", told))


def bare(clause: str) -> Wishes:
    """Of a clause that is nothing but wishes; none if there are other words."""
    wishes, end = Wishes(), _matched(_USE, clause, 0).end()
    place = end
    while place < len(clause):
        if found := VOICE.match(clause, place):
            wishes.add(_of_voice(found))
        elif found := _PERSON.match(clause, place) or _SEX.match(clause, place):
            wishes.genders |= _genders(found[0])
        elif found := ADVERB.match(clause, place):
            wishes.speeds |= _levels(found[0], words.SPEEDS)
        elif found := _DEEP.match(clause, place):
            wishes.pitches |= _levels(found[0], words.PITCHES)
        elif not (found := _BESIDE.match(clause, place)):
            return wishes if _ENDING.match(clause, end) else Wishes()
        end = found.end()
        place = _matched(_JOINT, clause, end).end()
    return wishes


def _of_voice(phrase: re.Match[str] | None) -> Wishes:
    """Of "a deep male voice", "a slow pace"."""
    if phrase is None:
        return Wishes()
    noun, text = phrase["noun"], phrase[0][: phrase.start("noun") - phrase.start()]
    wishes = Wishes(_genders(text), speeds=_levels(text, words.SPEEDS))
    if re.fullmatch(words.RATE_NOUNS, noun):
        wishes.speeds |= _levels(text, words.RATES, words.MODERATE)
    elif re.fullmatch(words.PITCH_NOUNS, noun):
        wishes.pitches = _levels(text, words.PITCHES, beside=True)
        wishes.pitches |= _levels(text, words.MODERATE) if noun == "pitch" else set()
    return wishes


def of_value(noun: str, value: str) -> Wishes:
    """Of "pitch: very low"."""
    wishes = Wishes() if noun in ("gender", "sex") else bare(value)
    for item in (item.strip() for item in re.split(r"\band\b", value)):
        if re.fullmatch(words.RATE_NOUNS, noun):
            wishes.speeds |= _levels(item, words.SPEEDS, words.RATES, words.MODERATE, whole=True)
        elif re.fullmatch(_SEX_VALUE, item):
            wishes.genders |= _genders(item)
        elif re.fullmatch(f"affect|{words.PITCH_NOUNS}", noun):
            wishes.pitches |= _levels(item, words.PITCHES, *([words.MODERATE] if noun == "pitch" else []), whole=True)
    return wishes


def _levels(text: str, *tables: Mapping[Level, str], beside: bool = False, whole: bool = False) -> set[Level]:
    """`whole`: of a text that is nothing else. `beside`: of words that stand at its end, or before words that speak of
    a voice.
    """
    found = set()
    for level, pattern in (item for table in tables for item in table.items()):
        for word in re.finditer(rf"{START}(?:(?P<strong>{words.STRONG})[ _-])?(?:{pattern}){END}", text):
            if whole and not re.fullmatch(rf"{DEGREE}(?:{pattern})(?: please)?", text):
                continue
            behind = words.BESIDE.sub("", text[word.end() :].split(" and ")[0])
            if not beside or not behind.strip():
                found.add(_STRONGER.get(level, level) if word["strong"] else level)
    return found


def _genders(text: str) -> set[Gender]:
    return {gender for gender, sex in words.SEXES.items() if re.search(rf"{START}{sex}{END}", text)}


def _matched(pattern: re.Pattern[str], text: str, place: int) -> re.Match[str]:
    """Of a pattern that fits anywhere."""
    match = pattern.match(text, place)
    assert match is not None
    return match
