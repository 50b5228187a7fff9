"""Every mistake of a caller and every early failure: its status, and a body in OpenAI's form that names the field."""

import gc
import gzip
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

from .conftest import ended


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
        ({}, "input", "'input' is required; an empty object was sent."),
        ({"text": "Hi.", "voice": "x"}, "input", "'input' is required; an object with 'text', 'voice' was sent."),
        ({str(n): n for n in range(99)}, "input", "'input' is required; an object with '0', '1', '2' was sent."),
        ({"input": ""}, "input", "empty"),
        ({"input": " \n\t"}, "input", "empty"),
        ({"input": 5}, "input", "it must be a string; 5 was sent."),
        ({"input": None}, "input", "it must be a string; null was sent."),
        ({"input": ["Hi."]}, "input", "it must be a string; a list of 1 was sent."),
        ({"input": "Hi.", "voice": 5}, "voice", "it must be a string or an object; 5 was sent."),
        (
            {"input": "Hi.", "voice": {"name": "anna"}},
            "voice",
            "it must be a string or an object with 'id'; an object with 'name' was sent.",
        ),
        (
            {"input": "Hi.", "voice": {"id": 5}},
            "voice",
            "it must be a string or an object whose 'id' is a string; an object with 'id' was sent.",
        ),
        ({"input": "Hi.", "voice": {}}, "voice", "an object with 'id'; an empty object was sent."),
        ({"input": "Hi.", "voice": [{"id": "anna"}]}, "voice", "a list of 1 was sent."),
        ({"input": "Hi.", "model": {}}, "model", "it must be a string; an empty object was sent."),
        (
            {"input": "Hi.", "response_format": "aiff"},
            "response_format",
            "it must be 'mp3', 'opus', 'aac', 'flac', 'wav'",
        ),
        ({"input": "Hi.", "response_format": "aiff"}, "response_format", "'aiff' was sent."),
        ({"input": "Hi.", "response_format": "x" * 500}, "response_format", "xxx\N{HORIZONTAL ELLIPSIS}' was sent."),
        ({"input": "Hi.", "stream_format": "json"}, "stream_format", "it must be 'audio' or 'sse'; 'json' was sent."),
        ({"input": "Hi.", "speed": 5}, "speed", "between 0.25 and 4"),
        ({"input": "Hi.", "speed": 0.1}, "speed", "between 0.25 and 4"),
        ({"input": "Hi.", "speed": 0}, "speed", "between 0.25 and 4"),
        ({"input": "Hi.", "speed": "fast"}, "speed", "it must be a number; 'fast' was sent."),
        ({"input": "Hi.", "sample_rate": -1}, "sample_rate", "between 8000 and 192000 Hz"),
        ({"input": "Hi.", "sample_rate": 0}, "sample_rate", "between 8000 and 192000 Hz"),
        ({"input": "Hi.", "sample_rate": "cd"}, "sample_rate", "it must be an integer or 'native'; 'cd' was sent."),
        ({"input": "Hi.", "stream": "later"}, "stream", "it must be true or false; 'later' was sent."),
        ({"input": "Hi.", "seed": -1}, "seed", "seed is -1; it must lie between 0 and 2^63 - 1."),
        ({"input": "Hi.", "seed": 1.5}, "seed", "it must be an integer; 1.5 was sent."),
        ({"input": "Hi.", "top_k": -1}, "top_k", "it must be at least 0; -1 was sent."),
        ({"input": "Hi.", "top_k": 2**32}, "top_k", "it must be at most 4294967295; 4294967296 was sent."),
        ({"input": "Hi.", "max_tokens": 0}, "max_tokens", "it must be at least 1; 0 was sent."),
        ({"input": "Hi.", "temperature": "hot"}, "temperature", "it must be a number; 'hot' was sent."),
        ({"input": "Hi.", "instructions": "x" * 4097}, "instructions", "the instructions: 4097, at most 4096"),
        ({"input": "Hi.", "instructions": "slow " * 1000}, "instructions", "the instructions: 5000, at most 4096"),
        (
            {"input": "Hi.", "instructions": {"tone": "warm"}},
            "instructions",
            "it must be a string; an object with 'tone'",
        ),
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
        (b'{"input": "Hi."', "not valid JSON: Expecting ',' delimiter, at character 16."),
        (b"{'input': 'Hi.'}", "not valid JSON: Expecting property name enclosed in double quotes, at character 2."),
        (b"input=Hi.", "not valid JSON: Expecting value, at character 1."),
        (b'{"input": "a\nb"}', "not valid JSON: Invalid control character at, at character 13."),
        (b"\xff\xfe\x00", "UTF-8: byte 3 is NUL"),
        ('{"input": "Hi."}'.encode("utf-16-le"), "UTF-8: byte 2 is NUL, as in UTF-16."),
        ('{"input": "Hi."}'.encode("utf-32-be"), "UTF-8: byte 1 is NUL"),
        (b'{"input": "a\0b"}', r"byte 13 is NUL, as in UTF-16. In a text NUL is written \u0000."),
        (b'{"input":"caf\xe9"}', "The body is not UTF-8: byte 14 is 0xe9."),
        ('{"input":"\u20ac"}'.encode("cp1252"), "The body is not UTF-8: byte 11 is 0x80."),
        ('{"input":"\u3053\u3093"}'.encode("shift_jis"), "The body is not UTF-8: byte 11 is 0x82."),
        (b'{"input":"' + b"a" * 100_000 + b'\xc3"}', "The body is not UTF-8: byte 100011 is 0xc3."),
        (b'{"input": "caf\xc3', "The body is not UTF-8: byte 15 is 0xc3."),
        (b"[" * 9_000, "The body is JSON that nests too deep."),
        (b'{"input": "Hi.", "seed": ' + b"1" * 5000 + b"}", "The body is JSON that holds a number of too many digits."),
        (b'"Hi."', "The body must be a JSON object; 'Hi.' was sent."),
        (b"[]", "The body must be a JSON object; a list of 0 was sent."),
        (b"null", "JSON object"),
        (b"", "There is no body; it must be a JSON object, sent as Content-Type: application/json."),
        (b'{"input": "Hi.", "speed": NaN}', "finite"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_body_that_is_no_json_object_is_400(client, content, says):
    reply = await client.post("/v1/audio/speech", content=content, headers={"content-type": "application/json"})
    assert says in checked(reply, 400, "invalid_value", "speed" if says == "finite" else None)


@pytest.mark.parametrize(
    "content", ['{"input":"caf\u00e9"}'.encode(), b'\xef\xbb\xbf{"input":"Hi."}', b'{"input":"\xed\xa0\xbd"}'], ids=repr
)
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=UTF-8", "application/problem+json"])
async def test_utf_8_is_read_with_or_without_its_mark(client, gateway, content, kind):
    reply = await client.post("/v1/audio/speech", content=content, headers={"content-type": kind})
    assert reply.status_code == 200
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", '"utf-16"'])
async def test_the_charset_that_the_head_names_is_told_where_the_body_is_no_utf_8(client, charset):
    headers = {"content-type": f"application/json; charset={charset}"}
    reply = await client.post("/v1/audio/speech", content=b'{"input":"caf\xe9"}', headers=headers)
    message = checked(reply, 400, "invalid_value", None)
    assert "byte 14 is 0xe9" in message
    assert charset in message


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "x-unknown"])
@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/audio/voices"])
async def test_a_body_that_is_compressed_is_415_and_the_header_named(client, gateway, coding, path):
    headers = {"content-type": "application/json", "content-encoding": coding}
    reply = await client.post(path, content=gzip.compress(b'{"input":"Hi."}'), headers=headers)
    assert f"Content-Encoding is '{coding}'" in checked(reply, 415, "unsupported_media_type", None)
    assert reply.headers["accept-encoding"] == "identity"
    assert not gateway.requests


async def test_chunks_that_are_compressed_are_415(client, connect):
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    reader, _ = await connect(client, head + b"2\r\n\x1f\x8b\r\n0\r\n\r\n")
    reply = await ended(reader)
    assert reply.startswith(b"HTTP/1.1 415")
    assert b"Transfer-Encoding is 'gzip, chunked'" in reply


@pytest.mark.parametrize("headers", [{"content-encoding": "identity"}, {"content-encoding": ""}])
async def test_a_body_as_it_is_may_say_so(client, headers):
    assert (await client.post("/v1/audio/speech", json={"input": "Hi."}, headers=headers)).status_code == 200
    assert (await client.get("/v1/models", headers={"content-encoding": "gzip"})).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"input=Hi.", "application/x-www-form-urlencoded"),
        (b'{"input":"Hi."}', "text/plain"),
        (b"--x", "multipart/form-data; boundary=x"),
        (b"RIFF\xff\xff\0\0", "audio/wav"),
        (b'{"input":"Hi."}', ""),
    ],
)
async def test_a_wrong_content_type_is_named_with_the_right_one(client, content, kind):
    reply = await client.post("/v1/audio/speech", content=content, headers={"content-type": kind})
    message = checked(reply, 400, "invalid_value", None)
    assert "application/json" in message
    assert (kind or "no Content-Type") in message


@pytest.mark.parametrize("kind", ["application/json", "audio/wav", ""])
async def test_a_wrong_content_type_of_a_voice_is_named_with_the_right_one(client, kind):
    reply = await client.post("/v1/audio/voices", content=b'{"name": "Anna"}', headers={"content-type": kind})
    message = checked(reply, 400, "invalid_value", None)
    assert "multipart/form-data" in message
    assert (kind or "no Content-Type") in message


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
