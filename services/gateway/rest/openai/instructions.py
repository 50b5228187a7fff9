"""Finds in free English instructions what they clearly ask of a designed voice: its gender, pitch and speed. No model
here understands more, so all other words are ignored, as are wishes that contradict each other, that hold for a part of
the text, or that speak of somebody else.

A sentence is read clause by clause. A clause counts if its verb is one of speaking ("read it slowly"), if it is about
the voice ("the pitch is low", "pacing: slow"), or if it is nothing but a wish ("a deep voice"). The last kind does not
count where it may be an apposition: "the story of a farmer, an old man".
"""

import re
from typing import TypeVar

from services.contract.design import Gender, Level
from services.gateway.request import Style
from services.gateway.rest.openai import style_words as words
from services.gateway.rest.openai.style_phrases import (
    A_VOICE,
    ADVERB,
    PLAIN,
    TO_LISTENERS,
    Wishes,
    bare,
    how,
    of_value,
    person,
)
from services.gateway.rest.openai.style_words import END, START, WORD

# In place of what is quoted stands one mark of it.
_QUOTED = re.compile(
    r"\"[^\"]*(?:\"|$)|`[^`]*(?:`|$)|(?<!\w)'[^']*'(?!\w)|"
    "\N{LEFT DOUBLE QUOTATION MARK}[^\N{RIGHT DOUBLE QUOTATION MARK}]*|"
    "[\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}]"
    "[^\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}]*"
)
_IDIOMS = re.compile(r"\b(?:slowly but surely|(?:fast and|thick and) (?:furious|fast)|far and fast)\b")
# Nobody's wish takes so many characters.
_LONGEST_CLAUSE = 300
_INSTEAD = re.compile(rf" (?:rather than|instead of){END}[^,]*")
_LED = re.compile(rf"{words.POLITE}(?:{words.SPEAKING}){END}")
_BEING = re.compile(
    rf"{words.POLITE}(?:you are|you're|as|like|play|portray|impersonate|imitate|mimic|voiced by|"
    "(?:pretend|imagine) (?:that )?(?:to be|you are|you're|being)|"
    rf"(?:the )?(?:voice|{words.SPEAKERS}) is(?: that of)?) "
)
# A change of the rate or the pitch as the verb itself.
_CHANGE = re.compile(
    rf"{words.POLITE}(?:(?P<slower>slow (?:it |things )?down)|(?P<faster>speed (?:it |things )?up|pick up the pace)|"
    r"(?:(?P<down>lower|reduce|decrease|drop)|(?P<up>raise|increase)) (?:the |your )?"
    rf"(?:(?P<pitch>pitch)|{words.RATE_NOUNS}))(?: (?:a bit|a little|slightly|somewhat|please))*"
)
_HEADING = re.compile(
    rf"{words.POLITE}(?:(?:set|keep|make|have) )?(?:(?:the|your|overall|vocal) )*"
    rf"(?P<noun>gender|sex|affect|{words.SPEAKERS}|{words.PITCH_NOUNS}|{words.SPEED_NOUNS})(?: affect| quality)?"
    r"(?P<sign> ?[:=] ?| (?:is|should be|must be|needs to be|to|at|be) | )(?P<value>.+)"
)
_PREFACE = re.compile(r"(?:instructions?|general|notes?|how to speak) ?: ?")

_CLAUSES = re.compile(
    r" ?(?:,| - |\N{EN DASH}|\N{EM DASH}|\(|\)|\bthen\b|(?:, ?)?\b(?:and|while|yet)\b"
    rf"(?= (?:{words.SPEAKING}|use|keep|slow down|speed up|don't|do not|avoid){END})) ?"
)
_PHRASE_ENDS = f"{words.PITCH_NOUNS}|{words.SPEED_NOUNS}|{words.SPEAKERS}|{words.ANYBODY}"
_COMMAS = re.compile(rf"\ban? {WORD}(?:, {WORD}){{1,4}}(?: {WORD}){{0,2}} (?:{_PHRASE_ENDS}){END}")
_SOMEBODY_ELSE = re.compile(rf"{START}(?:about|of|who|whom|whose|from|for|to){END}")
_SUBJECT = re.compile(rf"(?:the|an?|this|that|he|she|it|they|we|i|his|her|their|my|someone|somebody|people|there){END}")

Value = TypeVar("Value", Gender, Level)


def style_of(instructions: str) -> Style:
    text = _QUOTED.sub(' " ', instructions.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    text = re.sub(
        r"\b(?:(?:any|every)thing|all) but\b", "not", re.sub(r"\bas (?:if|though)\b", "like", _IDIOMS.sub('"', text))
    )
    wishes = Wishes()
    for sentence in re.split(r"[.!?;\n]+", text):
        wishes.add(_of_sentence(" ".join(sentence.split())))
    return Style(_only(wishes.genders), _only(wishes.pitches), _only(wishes.speeds))


def _only(values: set[Value]) -> Value | None:
    return next(iter(values)) if len(values) == 1 else None


def _of_sentence(sentence: str) -> Wishes:
    wishes = Wishes()
    if words.PARTLY.search(sentence):
        return wishes
    told = _INSTEAD.sub("", _PREFACE.sub("", sentence, count=1))
    text = _COMMAS.sub(lambda phrase: phrase[0].replace(",", " and"), told)
    reader = _Reader()
    for part in re.split(r",? ?\bbut ", text):
        clauses = [clause for clause in _CLAUSES.split(part) if clause]
        reader.denied = False
        for place, clause in enumerate(clauses):
            reader.read(clause, last=place == len(clauses) - 1)
    return reader.wishes()


class _Reader:
    """Of one sentence. `heading`: what its clauses are about; `foreign`: somebody else was spoken of; `led`: there was
    a verb of speaking, which `unled` wishes have not; `closed`: what follows a colon is a text.
    """

    def __init__(self) -> None:
        self.denied = False
        self._heading = ""
        self._foreign = False
        self._led = False
        self._closed = False
        self._asked = Wishes()
        self._unled = Wishes()

    def wishes(self) -> Wishes:
        self._asked.add(self._unled)
        return self._asked

    def read(self, clause: str, last: bool) -> None:
        if self._closed or len(clause) > _LONGEST_CLAUSE:
            self._foreign = True
        elif denial := words.DENIED.search(clause):
            on = bool(words.DENIED_ON.search(clause))
            self.read(clause[: denial.start()].strip(), last)
            self.denied = self.denied or on
        elif change := _CHANGE.fullmatch(clause):
            self._asked.add(_changed(change))
        elif being := _being(clause):
            self._led, self.denied = True, False
            self._asked.add(being)
        elif (heading := _HEADING.fullmatch(clause)) and (
            heading["sign"].strip() or of_value(heading["noun"], heading["value"])
        ):
            self._heading = heading["noun"]
            self._foreign = self._foreign or _speaks_of_others(heading["value"])
            self._asked.add(of_value(self._heading, heading["value"]))
        elif (parts := re.split("[:=]", clause, maxsplit=1))[1:]:
            self.read(parts[0].strip(), last=False)
            self._closed = True
        elif led := _LED.match(clause):
            self._led, self.denied = True, False
            rest = clause[led.end() :]
            self._foreign = self._foreign or _speaks_of_others(rest)
            self._asked.add(how(rest))
        elif clause:
            self._read_bare(clause, last)

    def _read_bare(self, clause: str, last: bool) -> None:
        if self._heading:
            self._asked.add(Wishes() if self._foreign else of_value(self._heading, clause))
            return
        wish = bare(clause)
        if self.denied:
            return
        if wish and (not self._foreign or (self._led and last and ADVERB.fullmatch(clause))):
            self._unled.add(wish)
        elif not wish and not PLAIN.fullmatch(clause) and not A_VOICE.fullmatch(clause):
            self._foreign = True
            if _SUBJECT.match(clause) and not self._led:
                self._unled = Wishes()


def _speaks_of_others(text: str) -> bool:
    return bool(_SOMEBODY_ELSE.search(TO_LISTENERS.sub("", text)))


def _changed(change: re.Match[str]) -> Wishes:
    level = Level.LOW if change["slower"] or change["down"] else Level.HIGH
    return Wishes(pitches={level}) if change["pitch"] else Wishes(speeds={level})


def _being(clause: str) -> Wishes:
    """Of a clause that says who speaks."""
    start = _BEING.match(clause)
    return person(clause, start.end()) if start else Wishes()
