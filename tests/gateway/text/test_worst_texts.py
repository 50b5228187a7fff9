"""Texts that are made to take long. What counts is work, not time: how much sentencex is given, in all and at once."""

import random

import pytest
import sentencex

from bench.hostile.texts import worst_texts
from services.gateway.text import ends
from services.gateway.text import segments as module
from services.gateway.text.normalise import normalise
from services.gateway.text.segments import segments, sentences

LIMIT = 100
TEXTS = list(worst_texts())
SAMPLE = random.Random(0).sample(TEXTS, 150)


class Counted:
    """sentencex, and how many characters it was given."""

    def __init__(self):
        self.characters = 0
        self.most = 0

    def segment(self, language, text):
        self.characters += len(text)
        self.most = max(self.most, len(text))
        return sentencex.segment(language, text)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    monkeypatch.setattr(module, "sentencex", found)
    monkeypatch.setattr(ends, "sentencex", found)
    return found


def test_there_are_many():
    assert len({text for _, text in TEXTS}) > 2000


@pytest.mark.parametrize("text", [text for _, text in SAMPLE], ids=[name for name, _ in SAMPLE])
def test_a_text_is_read_about_twice_and_a_part_at_once(text, counted):
    found = list(segments(text, LIMIT))
    assert "".join("".join(found).split()) == "".join(normalise(text).split())
    assert counted.characters <= 4 * len(text) + 20 * LIMIT
    assert counted.most <= 20 * LIMIT


@pytest.mark.parametrize("text", [text[:3000] for _, text in SAMPLE[:60]], ids=[name for name, _ in SAMPLE[:60]])
async def test_each_character_of_a_text_stream_costs_no_more_than_two_segments(text, counted):
    async def characters():
        for character in text:
            yield character

    found = [segment async for segment in sentences(characters(), LIMIT)]
    assert "".join("".join(found).split())
    assert counted.characters <= len(text) * 10 * LIMIT
    assert counted.most <= 20 * LIMIT


@pytest.mark.parametrize("mark", ["\u0301", "\u0344", "\u0301\u0316"])
def test_no_letter_keeps_more_marks_than_any_language_has(mark):
    text = normalise("a" + mark * 20_000 + "b" + mark * 20)
    assert len(text) < 100
    assert normalise(text) == text
