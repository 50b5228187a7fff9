"""Which earlier turns a model is told."""

import pytest

from services.contract.frames import Frames
from services.contract.generation import HeardVoice, ModelVoice, Turn
from services.gateway.conversation import Conversation
from services.gateway.utterance import Utterance

from .conftest import speaker_of

ANN, BOB = ModelVoice("ann"), ModelVoice("bob")


def spoken(frames: int) -> Utterance:
    utterance = Utterance()
    utterance.extend(Frames.of_codes([0] * frames))
    return utterance


def talk(most: int | None, *turns: tuple[ModelVoice, str, int]) -> Conversation:
    conversation = Conversation(most)
    for voice, text, frames in turns:
        conversation.add(voice, text, spoken(frames))
    return conversation


def told(conversation: Conversation, voice: ModelVoice | HeardVoice) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in conversation.continued(voice).context]


def test_model_that_reads_no_turns_is_told_none():
    assert told(talk(None, (ANN, "One.", 5)), ANN) == []


@pytest.mark.parametrize(("most", "texts"), [(0, []), (4, []), (5, ["Two."]), (9, ["Two."]), (10, ["One.", "Two."])])
def test_latest_turns_that_fit_are_told_in_order(most, texts):
    conversation = talk(most, (ANN, "One.", 5), (ANN, "Two.", 5))
    assert [text for _, text in told(conversation, ANN)] == texts


def test_who_speaks_now_has_no_name_and_others_keep_theirs():
    conversation = talk(100, (ANN, "One.", 5), (BOB, "Two.", 5))
    assert told(conversation, ANN) == [("", "One."), ("speaker 2", "Two.")]
    assert told(conversation, BOB) == [("speaker 1", "One."), ("", "Two.")]


def test_reference_comes_first_and_counts():
    reference = Turn("It goes.", Frames.of_codes([0] * 6))
    voice = HeardVoice(speaker_of(1), (reference,))
    conversation = talk(12, (ANN, "One.", 5), (ANN, "Two.", 5))
    assert [turn.text for turn in conversation.continued(voice).context] == ["It goes.", "Two."]
