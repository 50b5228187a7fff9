"""How many tokens a text may need: a model that does not stop is stopped, one that stops at once has to go on."""

import unicodedata

# Seconds that a very slow speaker takes: about twice the usual.
_LETTER, _NAME, _IDEOGRAPH, _PAUSE = 0.12, 0.6, 0.35, 1.5
_SPACE = 0.06


def longest_seconds(text: str) -> float:
    """About twice the seconds that `text` takes when it is read aloud.

    A pause for the ends; 0.12 s a letter or mark; 0.6 s for what is read by its name (digits, symbols such as %) and
    0.35 s for an ideograph or a capital, which may be an acronym's.
    """
    return _PAUSE + sum(map(_seconds, text))


def shortest_seconds(text: str) -> float:
    """About a third of the seconds that `text` takes when it is read aloud: nobody speaks faster."""
    return sum(map(_seconds, text)) / 6


def _seconds(character: str) -> float:
    category = unicodedata.category(character)
    if category[0] in "NS":
        return _NAME
    if category in ("Lo", "Lu"):
        return _IDEOGRAPH
    return _SPACE if category[0] in "ZC" else _LETTER
