import numpy as np
import pytest

from bench.speech.figures import SYSTEM, TEACHER, PhoneErrors, Utterance, figures, markdown, sounding_seconds
from bench.speech.listeners import Heard


def utterance(source: str, text: str, seconds: float, picked: str, dictated: str, wrong: int = 0) -> Utterance:
    return Utterance("male", source, text, seconds, PhoneErrors(wrong, said=6), Heard(picked, dictated))


UTTERANCES = [
    utterance(TEACHER, "One two.", 1.0, "one two", "one two"),
    utterance(TEACHER, "Three four", 1.0, "three four", "three four"),
    utterance(SYSTEM, "One two.", 1.5, "one two", "won two"),
    utterance(SYSTEM, "Three four", 1.5, "", "", wrong=3),
]


def test_each_source_has_its_share_error_rate_and_duration() -> None:
    teacher, system = figures(UTTERANCES)
    assert (teacher.picked_right, teacher.word_error_rate, teacher.duration_ratio) == (1.0, 0.0, 1.0)
    assert (teacher.phone_error_rate, system.phone_error_rate) == (0.0, 0.25)
    assert (system.picked_right, system.word_error_rate, system.duration_ratio) == (0.5, 0.75, 1.5)


def test_markdown_has_a_line_for_each_source() -> None:
    assert markdown(figures(UTTERANCES)).splitlines()[2:] == [
        "| male | espeak-ng | 1.000 | 0.000 | 0.000 | 1.000 |",
        "| male | text to speech | 0.500 | 0.250 | 0.750 | 1.500 |",
    ]


def test_silence_around_speech_does_not_count() -> None:
    speech = np.sin(np.arange(16_000) * 0.3).astype(np.float32)
    silence = np.zeros(8_000, np.float32)
    assert sounding_seconds(np.concatenate([silence, speech, silence])) == pytest.approx(1.0, abs=0.011)
    assert sounding_seconds(silence) == 0.0
