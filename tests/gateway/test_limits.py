"""Limits of values: each names its field, and what it is of the server's settings."""

import re

import pytest

from services.gateway.limits import ValueLimits
from services.gateway.request import Flush, NamedVoice, ReferenceVoice, SpeechRequest, TextStreamRequest, Turn
from services.gateway.settings import GatewaySettings
from services.runtime.errors import InvalidRequest, TooLarge

LIMITS = ValueLimits(text=10, piece=6, pieces=10, transcript=5, name=4, instructions=3)


def speech(*texts, voice=None):
    return SpeechRequest(tuple(Turn(text, voice or NamedVoice("")) for text in texts))


def check_reference(transcript):
    LIMITS.check_text_stream(TextStreamRequest(ReferenceVoice(b"audio", transcript)))


CHECKS = {
    "text": (lambda text: LIMITS.check_speech(speech(text)), 10, TooLarge),
    "text of turns": (lambda text: LIMITS.check_speech(speech("a", text[1:])), 10, TooLarge),
    "transcript": (LIMITS.check_transcript, 5, TooLarge),
    "transcript of a reference": (check_reference, 5, TooLarge),
    "display_name": (LIMITS.check_name, 4, TooLarge),
    "instructions": (LIMITS.check_instructions, 3, InvalidRequest),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_value_over_its_limit_is_refused_by_field_and_setting(name):
    check, most, error = CHECKS[name]
    check("a" * most)
    with pytest.raises(error) as raised:
        check("a" * (most + 1))
    assert type(raised.value) is error
    assert raised.value.field == name.split()[0]
    [setting] = re.findall(r"VOXLINE_GATEWAY_(\w+)", raised.value.message)
    assert setting.lower() in GatewaySettings.model_fields


@pytest.mark.parametrize("text", ["a\0b", "a\ud800"])
@pytest.mark.parametrize("check", [LIMITS.check_transcript, LIMITS.check_name, check_reference])
def test_what_no_database_stores_is_refused(check, text):
    with pytest.raises(InvalidRequest):
        check(text)


async def read(*pieces):
    async def written():
        for piece in pieces:
            yield piece

    return [piece async for piece in LIMITS.checked(written())]


@pytest.mark.parametrize("pieces", [["a" * 7], ["a" * 6, "a" * 5], ["a", Flush()] * 11])
async def test_a_piece_too_long_or_too_many_ends_a_text_stream(pieces):
    with pytest.raises(TooLarge) as raised:
        await read(*pieces)
    assert raised.value.field == "text"


async def test_pieces_within_the_limits_come_as_they_are():
    assert await read("a" * 6, Flush(), "a" * 4) == ["a" * 6, Flush(), "a" * 4]


def test_settings_reach_the_limits():
    settings = GatewaySettings(max_text_characters=1, max_transcript_characters=2, max_voices_per_key=0)
    assert settings.value_limits == ValueLimits(text=1, transcript=2, voices_per_key=0)
    assert GatewaySettings().value_limits == ValueLimits()
