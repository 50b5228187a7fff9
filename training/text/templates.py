"""Plain English sentences with slots, filled from the lists."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from numpy.random import Generator

from training.text.lists import Lists

# N: noun, NS: plural noun, A: adjective, R: adverb, D and DS: determiner of one and of many, P: preposition, T: time,
# PRO: pronoun; verbs with an object V0 to V3 and without one M0 to M3: base, third person, past, participle.
TEMPLATES = (
    "D A N V2 D N",
    "D N V2 D A N P D N",
    "NAME V1 D N R",
    "NAME V2 D N P D A N T",
    "PRO V2 D N P D N",
    "DS A NS M0 P D N",
    "DS NS M2 P D N T",
    "D N P D N M1 R P D N",
    "T, D N V2 DS A NS",
    "please V0 D A N P D N",
    "do you V0 D N P D N?",
    "did NAME V0 D N T?",
    "why did D N V0 D A N?",
    "where is D A N P D N?",
    "how many NS did NAME V0 T?",
    "NAME and NAME M2 P D A N",
    "PRO R V2 DS NS, CONJ D N M2 P D N",
    "CONJ D N M2, D A N V2 D N",
    "D N is A, CONJ D N is R A",
    "D A N will V0 D N T",
    "we are V3 D N P PLACE T",
    "she was V3 D A N when D N M2",
    "they have V2 DS NS since T",
    "nobody V2 D N P D N",
    "D N of D N V1 DS A NS",
    "D N should never V0 D A N",
    "NAME wants to V0 D N, but D N is R A",
    "can NAME V0 DS A NS P D N?",
    "D N M1 P PLACE T",
    "it is A to V0 D N P D A N",
    "NAME said that D N V2 D N",
    "D A, A N M2 R P D N",
    "DS NS and DS NS are A T",
    "there were DS A NS P D N",
    "D N that NAME V2 was R A",
    "if D N M1, D N will V0 D N!",
    "M0 P D N and V0 D A N",
    "D A N and D A N M2 P D N P PLACE",
    "as soon as PRO V2 D N, D N M2 R",
    "D N V1 D N more than D A N",
    "only D N of PLACE V2 D N T",
    "T NAME and D N will M0 P D N",
    "what a A N!",
    "NAME is D A N of D N",
    "D N never V1 D N without D N",
    "not long ago, D N V2 D A N P D N, CONJ DS NS M2 R P D A N",
    "D N was so A that NAME V2 D N and M2 P D N",
)

_SLOT = re.compile(r"\b(NAME|PLACE|PRO|CONJ|DS|NS|V\d|M\d|N|A|R|D|P|T)\b")
_VOWEL_SOUND = re.compile(r"(?!(?:uni|use|usu|eu|one|once))(?:[aeiou]|hour|hono|heir)", re.IGNORECASE)
_IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth", "mouse": "mice",
    "goose": "geese", "sheep": "sheep", "fish": "fish", "deer": "deer", "ox": "oxen", "people": "people",
    "police": "police", "cattle": "cattle", "scissors": "scissors", "leaf": "leaves", "wolf": "wolves",
    "knife": "knives", "wife": "wives", "thief": "thieves", "shelf": "shelves", "scarf": "scarves",
}  # fmt: skip


class Templates:
    def __init__(self, lists: Lists) -> None:
        slots: dict[str, Sequence[str]] = {
            "N": lists.nouns,
            "NS": [plural(noun) for noun in lists.nouns],
            "A": lists.adjectives,
            "R": lists.adverbs,
            "D": lists.determiners,
            "DS": lists.plural_determiners,
            "P": lists.prepositions,
            "T": lists.times,
            "NAME": lists.names,
            "PLACE": lists.places,
            "PRO": lists.pronouns,
            "CONJ": lists.conjunctions,
        }
        for form in range(4):
            slots[f"V{form}"] = [verb[form] for verb in lists.verbs]
            slots[f"M{form}"] = [verb[form] for verb in lists.moves]
        self._slots: Mapping[str, Sequence[str]] = slots

    def sentence(self, draws: Generator) -> str:
        """Lower case but for names; with a mark at the end only where the template has one."""
        pick: Callable[[re.Match[str]], str] = lambda slot: one_of(self._slots[slot[1]], draws)  # noqa: E731
        return _articles(_SLOT.sub(pick, one_of(TEMPLATES, draws)))


def one_of(choices: Sequence[str], draws: Generator) -> str:
    return choices[int(draws.integers(len(choices)))]


def plural(noun: str) -> str:
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return noun + "es"
    return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"


def _articles(sentence: str) -> str:
    words = sentence.split(" ")
    for index, (word, following) in enumerate(pairwise(words)):
        if word in ("a", "an"):
            words[index] = "an" if _VOWEL_SOUND.match(following) else "a"
    return " ".join(words)
