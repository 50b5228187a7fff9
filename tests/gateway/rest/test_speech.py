"""What a speech body means, and the two forms of its reply."""

import asyncio
import base64
import json

import pytest

from services.contract.design import Gender, Level
from services.contract.sampling import Sampling
from services.gateway.request import NamedVoice, Output, SpeechRequest, Style, Turn
from services.gateway.rest.openai.instructions import style_of
from services.gateway.rest.openai.speech import SpeechBody, to_speech

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "ogg", "webm", "m4a")


def test_a_body_with_only_input_takes_openais_defaults():
    expected = SpeechRequest((Turn("Hi.", NamedVoice("")),), Sampling(), Output("mp3", 24_000, 1.0), "")
    assert to_speech(SpeechBody(input="Hi.")) == expected


def test_null_is_the_same_as_absent():
    nulls = dict.fromkeys(SpeechBody.model_fields, None) | {"input": "Hi."}
    assert to_speech(SpeechBody(**nulls)) == to_speech(SpeechBody(input="Hi."))


def test_every_field_arrives():
    body = SpeechBody.model_validate(
        {
            "input": "Hi.",
            "model": "tts-1",
            "voice": {"id": "anna"},
            "instructions": "A man, very slowly.",
            "response_format": "flac",
            "speed": 1.5,
            "sample_rate": 16_000,
            "seed": 7,
            "temperature": 0.5,
            "top_k": 10,
            "top_p": 0.9,
            "repetition_penalty": 1.2,
            "max_tokens": 100,
        }
    )
    sampling = Sampling(
        temperature=0.5, top_k=10, top_p=0.9, repetition_penalty=1.2, max_tokens=100, min_tokens=None, seed=7
    )
    turn = Turn("Hi.", NamedVoice("anna"), Style(gender=Gender.MALE, speed=Level.VERY_LOW))
    style = style_of(body.instructions)
    assert to_speech(body, style) == SpeechRequest((turn,), sampling, Output("flac", 16_000, 1.5), "tts-1")


def test_native_is_the_rate_of_the_model():
    assert to_speech(SpeechBody(input="Hi.", sample_rate="native")).output.sample_rate is None


def test_whoever_does_not_stream_gets_a_whole_file():
    assert to_speech(SpeechBody(input="Hi.", stream=False)).output.whole
    assert not to_speech(SpeechBody(input="Hi.", stream=True)).output.whole


@pytest.mark.parametrize("encoding", FORMATS)
async def test_every_format_is_streamed_under_its_media_type(client, encoding):
    reply = await client.post("/v1/audio/speech", json={"input": "Hi.", "response_format": encoding})
    assert (reply.status_code, reply.headers["content-type"], reply.content) == (200, f"audio/{encoding}", b"onetwo")


@pytest.mark.parametrize(
    ("sent", "spoken"), [(r"a\ud83d", "a\ufffd"), (r"\ud83d\ude00", "\U0001f600"), (r"\u00e9", "\u00e9")]
)
async def test_half_a_character_does_not_fail_the_rest(client, gateway, sent, spoken):
    content, headers = f'{{"input": "{sent}", "voice": "{sent}"}}', {"content-type": "application/json"}
    assert (await client.post("/v1/audio/speech", content=content, headers=headers)).status_code == 200
    assert gateway.requests[0].turns == (Turn(spoken, NamedVoice(spoken)),)


async def test_unknown_fields_are_ignored(client):
    body = {"input": "Hi.", "backend": "x", "model": "tts-1", "voice": "alloy", "lang_code": None}
    assert (await client.post("/v1/audio/speech", json=body)).status_code == 200


async def test_events_carry_the_stream_and_end_with_the_usage(client):
    reply = await client.post("/v1/audio/speech", json={"input": "Hi.", "stream_format": "sse"})
    lines = [line for line in reply.text.split("\n\n") if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-cache"
    assert [event["type"] for event in events] == ["speech.audio.delta"] * 2 + ["speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:2]) == b"onetwo"
    assert events[2]["usage"] == {"input_tokens": 12, "output_tokens": 30, "total_tokens": 42}


async def test_the_first_bytes_leave_before_the_last_are_made(client, gateway):
    last = asyncio.Event()
    gateway.script = (b"first", last, b"last")
    async with client.stream("POST", "/v1/audio/speech", json={"input": "Hi."}) as reply:
        chunks = reply.aiter_raw()
        assert await anext(chunks) == b"first"
        last.set()
        assert b"".join([chunk async for chunk in chunks]) == b"last"


async def test_a_reply_says_how_long_it_took_to_begin(client, gateway):
    """Not how long it takes to its end."""
    ready, last = asyncio.Event(), asyncio.Event()
    gateway.script = (ready, b"first", last, b"last")

    async def hold() -> None:
        await gateway.begun.wait()
        asyncio.get_running_loop().call_later(0.1, ready.set)

    holding = asyncio.create_task(hold())
    async with client.stream("POST", "/v1/audio/speech", json={"input": "Hi."}) as reply:
        name, milliseconds = reply.headers["server-timing"].split(";dur=")
        last.set()
        await reply.aread()
    await holding
    assert name == "ttfb"
    assert float(milliseconds) > 90


async def test_the_request_id_reaches_the_pipeline(client, gateway):
    await client.post("/v1/audio/speech", json={"input": "Hi."}, headers={"x-request-id": "abc-1"})
    assert gateway.contexts[0].request_id == "abc-1"
