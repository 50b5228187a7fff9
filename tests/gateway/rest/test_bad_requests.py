"""Every mistake of a caller and every early failure: its status, and a body in OpenAI's form that names the field."""

import gc
import weakref

import pytest

from services.gateway.rest.app import RestOptions
from services.gateway.rest.body_limits import BodyLimits
from services.runtime.errors import (
    DeadlineExceeded,
    GenerationFailed,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    StageUnavailable,
    Unsupported,
    VoiceNotFound,
)


def checked(reply, status, code, param):
    """The message, once the rest has been checked."""
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (status, code, param)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    return error["message"]


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({}, "input", "required"),
        ({"input": ""}, "input", "empty"),
        ({"input": " \n\t"}, "input", "empty"),
        ({"input": 5}, "input", "string"),
        ({"input": None}, "input", "string"),
        ({"input": ["Hi."]}, "input", "string"),
        ({"input": "Hi.", "voice": 5}, "voice", "string"),
        ({"input": "Hi.", "voice": {"name": "anna"}}, "voice", "required"),
        ({"input": "Hi.", "model": {}}, "model", "string"),
        ({"input": "Hi.", "response_format": "ogg"}, "response_format", "'mp3', 'opus', 'aac', 'flac', 'wav' or 'pcm'"),
        ({"input": "Hi.", "stream_format": "json"}, "stream_format", "'audio' or 'sse'"),
        ({"input": "Hi.", "speed": 5}, "speed", "between 0.25 and 4"),
        ({"input": "Hi.", "speed": 0.1}, "speed", "between 0.25 and 4"),
        ({"input": "Hi.", "speed": "fast"}, "speed", "number"),
        ({"input": "Hi.", "sample_rate": -1}, "sample_rate", "between"),
        ({"input": "Hi.", "sample_rate": "cd"}, "sample_rate", "'native'"),
        ({"input": "Hi.", "seed": -1}, "seed", "[0, 2^63)"),
        ({"input": "Hi.", "seed": 1.5}, "seed", "integer"),
        ({"input": "Hi.", "top_k": -1}, "top_k", "greater than or equal to 0"),
        ({"input": "Hi.", "top_k": 2**32}, "top_k", "less than or equal to"),
        ({"input": "Hi.", "max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"input": "Hi.", "temperature": "hot"}, "temperature", "number"),
        ({"input": "Hi.", "instructions": "x" * 4097}, "instructions", "4096"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_400_and_named(client, gateway, body, param, says):
    reply = await client.post("/v1/audio/speech", json=body)
    assert says in checked(reply, 400, "invalid_value", param)
    assert not gateway.requests


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"input": "Hi."', "JSON"),
        (b"\xff\xfe\x00", "UTF-8"),
        ('{"input": "Hi."}'.encode("utf-16-le"), "UTF-8"),
        (b"[" * 9_000, "body"),
        (b'"Hi."', "JSON object"),
        (b"[]", "JSON object"),
        (b"", "JSON object"),
        (b'{"input": "Hi.", "speed": NaN}', "finite"),
    ],
    ids=["cut", "binary", "utf-16", "deep", "string", "list", "nothing", "nan"],
)
async def test_a_body_that_is_no_json_object_is_400(client, content, says):
    reply = await client.post("/v1/audio/speech", content=content, headers={"content-type": "application/json"})
    assert says in checked(reply, 400, "invalid_value", "speed" if says == "finite" else None)


async def test_a_form_where_json_belongs_is_400(client):
    reply = await client.post("/v1/audio/speech", data={"input": "Hi."})
    assert "application/json" in checked(reply, 400, "invalid_value", None)


async def test_a_text_of_60000_characters_is_413(client):
    reply = await client.post("/v1/audio/speech", json={"input": "a" * 60_000})
    assert "50000" in checked(reply, 413, "too_large", "input")


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_413(serve, announced):
    client = await serve(RestOptions(body_limits=BodyLimits(json_bytes=1000)))

    async def pieces():
        for _ in range(20):
            yield b"a" * 100

    content = b"a" * 2000 if announced else pieces()
    reply = await client.post("/v1/audio/speech", content=content, headers={"content-type": "application/json"})
    assert "1000 bytes" in checked(reply, 413, "too_large", None)


@pytest.mark.parametrize(
    ("error", "status", "code", "param"),
    [
        (VoiceNotFound("no such voice", field="voice"), 404, "voice_not_found", "voice"),
        (ModelNotFound("no such model", field="model"), 404, "model_not_found", "model"),
        (InvalidRequest("out of range", field="sampling.temperature"), 400, "invalid_value", "temperature"),
        (InvalidRequest("too long", field="text"), 400, "invalid_value", "input"),
        (InvalidRequest("no such format", field="encoding"), 400, "invalid_value", "response_format"),
        (Unsupported("cannot clone", field="voice"), 501, "unsupported", "voice"),
        (GenerationFailed("no end"), 500, "generation_failed", None),
        (DeadlineExceeded("too late"), 504, "timeout", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_a_failure_before_the_first_byte_is_a_status(client, gateway, stream_format, error, status, code, param):
    gateway.script = (error,)
    reply = await client.post("/v1/audio/speech", json={"input": "Hi.", "stream_format": stream_format})
    assert checked(reply, status, code, param) == error.message


@pytest.mark.parametrize(
    ("error", "status", "after"),
    [
        (StageUnavailable("llm is down"), 503, "1"),
        (Overloaded("full", retry_after=2.2), 429, "3"),
    ],
)
async def test_a_caller_who_may_come_again_is_told_when(client, gateway, error, status, after):
    gateway.script = (error,)
    reply = await client.post("/v1/audio/speech", json={"input": "Hi."})
    assert (reply.status_code, reply.headers["retry-after"]) == (status, after)


async def test_what_nobody_foresaw_is_500_and_tells_nothing(client, gateway):
    gateway.script = (ZeroDivisionError("secret"),)
    reply = await client.post("/v1/audio/speech", json={"input": "Hi."})
    assert "secret" not in checked(reply, 500, "generation_failed", None)


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/"), ("GET", "/v1/models/"), ("PUT", "/v1/audio/voices/")])
async def test_a_message_quotes_a_hundred_characters_at_most(client, method, path):
    reply = await client.request(method, path + "x" * 5000)
    assert reply.status_code in (404, 405)
    assert len(reply.json()["error"]["message"]) < 200


async def test_an_unknown_path_is_404(client):
    reply = await client.get("/v1/audio/nothing")
    assert "/v1/audio/nothing" in checked(reply, 404, "unknown_url", None)


async def test_a_wrong_method_is_405_and_says_which_are_right(client):
    reply = await client.get("/v1/audio/speech")
    checked(reply, 405, "method_not_allowed", None)
    assert reply.headers["allow"] == "OPTIONS, POST"


async def test_repeating_in_vain_is_discouraged(client, gateway):
    gateway.script = (Unsupported("cannot clone"),)
    reply = await client.post("/v1/audio/speech", json={"input": "Hi."})
    assert reply.headers["x-should-retry"] == "false"


async def test_what_a_refused_request_held_is_let_go_with_its_reply(client, gateway):
    held = []

    class Recording:
        """As large as one may be."""

    async def refuse(request):
        recording = Recording()
        held.append(weakref.ref(recording))
        raise InvalidRequest("no", field="audio")

    gateway.speak = refuse
    gc.disable()
    try:
        assert (await client.post("/v1/audio/speech", json={"input": "Hi."})).status_code == 400
        assert held[0]() is None
    finally:
        gc.enable()
