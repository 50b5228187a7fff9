"""The texts that the voice is taught with."""

from itertools import islice, pairwise

import numpy as np
import pytest

from training.text.lists import Lists
from training.text.numbers import phrase, spelled
from training.text.sentences import MOST_CHARACTERS, Sentences, evaluated, plain
from training.text.templates import Templates, plural
from training.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.read()


def test_no_sentence_comes_twice_or_is_long(vocabulary: Vocabulary) -> None:
    made = list(islice(Sentences(vocabulary, Lists.read(), (), seed=3), 400))
    assert len({plain(text) for text in made}) == 400
    assert max(map(len, made)) <= MOST_CHARACTERS
    assert all(text.isascii() for text in made)


def test_no_sentence_holds_what_is_evaluated(vocabulary: Vocabulary) -> None:
    """Sentences that would come are forbidden, whole or by a part of theirs: others come in their place."""
    made = [plain(text) for text in islice(Sentences(vocabulary, Lists.read(), (), seed=3), 200)]
    parts = [" ".join(text.split()[1:4]) for text in made if len(text.split()) > 5]
    forbidden = {*made[::2], *parts}
    others = [plain(text) for text in islice(Sentences(vocabulary, Lists.read(), forbidden, seed=3), 200)]
    assert not [text for text in others for each in forbidden if f" {each} " in f" {text} "]


def test_texts_of_the_benchmark_are_forbidden() -> None:
    assert "the old farmer painted his barn before winter came" in evaluated()


def test_running_words_follow_each_other(vocabulary: Vocabulary) -> None:
    """The language model finds them likelier than the same words shuffled."""
    draws = np.random.default_rng(0)
    words = vocabulary.running(300, draws)
    shuffled = [words[index] for index in draws.permutation(len(words))]
    assert vocabulary.likelihood(words) > vocabulary.likelihood(shuffled) + 1


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (17, "seventeen"),
        (40, "forty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (215, "two hundred fifteen"),
        (40_000, "forty thousand"),
        (123_456, "one hundred twenty three thousand four hundred fifty six"),
    ],
)
def test_numbers_are_spelled(number: int, words: str) -> None:
    assert spelled(number) == words


def test_phrases_with_numbers_are_plain_text() -> None:
    draws = np.random.default_rng(1)
    assert all(phrase(draws).isascii() for _ in range(300))


@pytest.mark.parametrize(
    ("noun", "many"), [("cat", "cats"), ("church", "churches"), ("city", "cities"), ("boy", "boys"), ("foot", "feet")]
)
def test_plurals(noun: str, many: str) -> None:
    assert plural(noun) == many


def test_templates_leave_no_slot_and_agree_in_articles() -> None:
    templates, draws = Templates(Lists.read()), np.random.default_rng(2)
    for _ in range(2000):
        words = templates.sentence(draws).split()
        assert not {"N", "NS", "A", "D", "DS", "V0", "V2", "M2", "NAME", "PRO", "CONJ"}.intersection(words)
        assert not [pair for pair in pairwise(words) if pair[0] == "a" and pair[1][0] in "aio"]
