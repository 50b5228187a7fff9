"""openai-python, unmodified, against the HTTP side: what it sends is understood, what it parses is right."""

import base64
import json

import openai
import pytest

from services.gateway.request import NamedVoice
from services.runtime.errors import StageUnavailable, VoiceNotFound


@pytest.fixture
async def sdk(client):
    async with openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="unused", max_retries=0) as sdk:
        yield sdk


@pytest.mark.parametrize("encoding", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_every_format(sdk, encoding):
    reply = await sdk.audio.speech.create(
        model="tts-1", voice="alloy", input="Hi.", response_format=encoding, speed=1.0, instructions="Calm."
    )
    assert reply.content == b"onetwo"
    assert reply.response.headers["content-type"] == f"audio/{encoding}"


async def test_a_custom_voice_is_an_object(sdk, gateway):
    await sdk.audio.speech.create(model="gpt-4o-mini-tts", voice={"id": "anna"}, input="Hi.")
    assert gateway.requests[0].turns[0].voice == NamedVoice("anna")
    assert gateway.requests[0].model == "gpt-4o-mini-tts"


async def test_our_fields_go_in_the_extra_body(sdk, gateway):
    extra = {"seed": 7, "temperature": 0.5, "sample_rate": 16_000}
    await sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hi.", extra_body=extra)
    request = gateway.requests[0]
    assert (request.sampling.seed, request.sampling.temperature, request.output.sample_rate) == (7, 0.5, 16_000)


async def test_a_reply_streams(sdk):
    create = sdk.audio.speech.with_streaming_response.create
    async with create(model="tts-1", voice="alloy", input="Hi.") as reply:
        assert b"".join([chunk async for chunk in reply.iter_bytes()]) == b"onetwo"


async def test_events_are_lines(sdk):
    create = sdk.audio.speech.with_streaming_response.create
    async with create(model="gpt-4o-mini-tts", voice="ash", input="Hi.", stream_format="sse") as reply:
        lines = [line async for line in reply.iter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert b"".join(base64.b64decode(event.get("audio", "")) for event in events) == b"onetwo"
    assert events[-1]["usage"]["total_tokens"] == 42


async def test_a_reply_that_breaks_off_is_an_error(sdk, gateway):
    gateway.script = (b"one", StageUnavailable("llm is down"))
    with pytest.raises(openai.APIConnectionError):
        await sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hi.")


async def test_errors_are_the_sdks_own(sdk, gateway):
    gateway.script = (VoiceNotFound("There is no voice 'nobody'.", field="voice"),)
    with pytest.raises(openai.NotFoundError) as raised:
        await sdk.audio.speech.create(model="tts-1", voice="nobody", input="Hi.")
    error = raised.value
    assert (error.code, error.param, error.type) == ("voice_not_found", "voice", "invalid_request_error")
    assert error.request_id == error.response.headers["x-request-id"]
    with pytest.raises(openai.BadRequestError):
        await sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hi.", speed=5)


async def test_models(sdk):
    page = await sdk.models.list()
    assert [model.id for model in page.data] == ["voxline-small", "org/other", "tts-1"]
    assert (await sdk.models.retrieve("voxline-small")).owned_by == "voxline"


async def test_voices(sdk, gateway):
    voice = await sdk.audio.voices.create(audio_sample=("a.wav", b"sound"), name="Anna", consent="cons_1")
    assert (voice.id, voice.name, voice.object, voice.type) == ("anna", "Anna", "audio.voice", "audio_sample")
    assert gateway.voices.samples == {"anna": b"sound"}
    deleted = await sdk.audio.voices.delete(voice.id)
    assert (deleted.id, deleted.deleted, deleted.object) == ("anna", True, "audio.voice.deleted")


async def test_what_is_in_vain_is_not_tried_again(client):
    async with openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="unused", max_retries=5) as sdk:
        with pytest.raises(openai.InternalServerError, match="no consent recordings"):
            await sdk.audio.voice_consents.create(language="en-US", name="Anna", recording=("a.wav", b"sound"))
