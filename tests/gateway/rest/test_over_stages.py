"""The OpenAI surface over the real gateway and gRPC doubles of the stages."""

import asyncio
import json

import httpx
import pytest

from services.contract.generation import FinishReason
from services.runtime.errors import TABLE, GenerationFailed, VoxlineError

from ..conftest import outcome

PATIENCE = 60.0
SPEECH, VOICES = "/v1/audio/speech", "/v1/audio/voices"
MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "ogg": "audio/ogg",
    "webm": "audio/webm",
    "m4a": "audio/mp4",
}


@pytest.fixture
def gateway(real_gateway):
    return real_gateway


@pytest.mark.parametrize("encoding", MEDIA_TYPES)
async def test_every_format_has_its_media_type(client, encoding):
    reply = await client.post(SPEECH, json={"input": "Hello there.", "response_format": encoding})
    assert (reply.status_code, reply.headers["content-type"]) == (200, MEDIA_TYPES[encoding])
    assert len(reply.content) > 500


@pytest.mark.parametrize("encoding", MEDIA_TYPES)
@pytest.mark.parametrize("text", ["Hi.", "Hello there. " * 60])
async def test_a_reply_that_is_made_first_tells_its_length(client, encoding, text):
    body = {"input": text, "response_format": encoding, "stream": False, "seed": 1}
    reply = await client.post(SPEECH, json=body)
    assert int(reply.headers["content-length"]) == len(reply.content) > 500
    assert "transfer-encoding" not in reply.headers


@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"stream": False, "stream_format": "sse"}], ids=str)
async def test_a_reply_that_is_sent_as_it_is_made_comes_in_chunks(client, fields):
    reply = await client.post(SPEECH, json={"input": "Hello there."} | fields)
    assert reply.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path"), [("GET", VOICES), ("GET", "/openapi.json"), ("GET", "/docs"), ("DELETE", VOICES)]
)
async def test_what_is_no_speech_tells_its_length(client, method, path):
    reply = await client.request(method, path)
    assert int(reply.headers["content-length"]) == len(reply.content)


async def test_pcm_is_24_khz_unless_another_rate_is_asked_for(client):
    body = {"input": "Hello there.", "response_format": "pcm"}
    sizes = [
        len((await client.post(SPEECH, json=body | rate)).content)
        for rate in ({}, {"sample_rate": "native"}, {"sample_rate": 16_000}, {"sample_rate": 48_000})
    ]
    samples = len(body["input"]) * 320
    assert sizes == [samples * 3, samples * 2, samples * 2, samples * 6]


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_a_stage_that_is_down_is_503_and_tells_when_to_come_again(client, doubles, stage):
    await client.post(SPEECH, json={"input": "Hello there."})
    await doubles.stop(stage)
    reply = await client.post(SPEECH, json={"input": "Hello there."})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unavailable")
    assert int(reply.headers["retry-after"]) >= 1


async def test_a_clone_needs_the_tokenizer_once(client, doubles):
    files = {"audio_sample": ("a.wav", b"sound")}
    assert (await client.post(VOICES, files=files, data={"name": "Anna"})).json()["id"] == "anna"
    await doubles.stop("tokenizer")
    assert (await client.post(SPEECH, json={"input": "Hello there.", "voice": {"id": "anna"}})).status_code == 200
    other = {"audio_sample": ("b.wav", b"other")}
    assert (await client.post(VOICES, files=other, data={"name": "Ben"})).status_code == 503


@pytest.mark.parametrize(
    ("data", "sample", "status", "param"),
    [
        ({"name": "Anna"}, b"bad", 400, "audio_sample"),
        ({"name": "Anna"}, b"", 400, "audio_sample"),
        ({"name": "Anna", "id": "No Id!"}, b"sound", 400, "id"),
        ({"name": "Alloy"}, b"sound", 409, "id"),
    ],
    ids=["no audio", "empty", "malformed id", "taken"],
)
async def test_a_clone_that_cannot_be_made_names_the_field(client, data, sample, status, param):
    reply = await client.post(VOICES, files={"audio_sample": ("a.wav", sample)}, data=data)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


async def test_a_built_in_voice_is_not_deleted(client):
    reply = await client.delete(f"{VOICES}/female")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_value")


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"voice": "nobody"}, 404, "voice_not_found", "voice"),
        ({"model": "gpt-9"}, 404, "model_not_found", "model"),
        ({"sample_rate": 12_345}, 400, "invalid_value", "sample_rate"),
    ],
    ids=str,
)
async def test_what_there_is_not_is_named(client, fields, status, code, param):
    reply = await client.post(SPEECH, json={"input": "Hello there."} | fields)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (status, code, param)


@pytest.mark.parametrize(
    "voice",
    ["Alloy", "ALLOY", "voices/alloy", " Onyx", {"id": "voices/Nova"}, "Female", "anna", "Anna", "voices/Anna"],
    ids=str,
)
async def test_a_voice_speaks_however_its_name_is_written(client, voice):
    await client.post(VOICES, files={"audio_sample": ("a.wav", b"sound")}, data={"name": "Anna"})
    assert (await client.post(SPEECH, json={"input": "Hello there.", "voice": voice})).status_code == 200


@pytest.mark.parametrize("voice", ["voices/", "..", ".", " ", {"id": "voices/.."}], ids=str)
async def test_a_voice_without_an_id_does_not_speak_as_the_default(client, voice):
    error = (reply := await client.post(SPEECH, json={"input": "Hello there.", "voice": voice})).json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "invalid_value", "voice")


@pytest.mark.parametrize("path", ["Anna", "voices/anna", "voices%2Fanna", "voices/ANNA/"])
async def test_a_stored_voice_is_shown_and_deleted_however_its_name_is_written(client, path):
    await client.post(VOICES, files={"audio_sample": ("a.wav", b"sound")}, data={"name": "Anna"})
    assert (await client.get(f"{VOICES}/{path}")).json()["id"] == "anna"
    assert (await client.delete(f"{VOICES}/{path}")).json()["id"] == "anna"


@pytest.mark.parametrize("path", ["%2E%2E", "%2E", "voices/%2e%2e"])
async def test_dots_are_no_voice(client, path):
    assert (await client.delete(f"{VOICES}/{path}")).json()["error"]["code"] == "invalid_value"


@pytest.mark.parametrize("model", ["spark", "Spark-TTS-0.5B", "csm-1b", "kokoro", "chatterbox", "TTS-1", "double"])
async def test_models_that_clients_have_wired_in_speak_and_are_shown(client, model):
    assert (await client.post(SPEECH, json={"input": "Hello there.", "model": model})).status_code == 200
    assert (await client.get(f"/v1/models/{model}")).json()["id"] == model.lower()


async def test_lists_begin_with_openais_voices_and_hold_no_models_of_others(client):
    voices = (await client.get(VOICES)).json()["data"]
    assert [voice["id"] for voice in voices][:2] == ["alloy", "ash"]
    assert [voice["id"] for voice in voices][-2:] == ["female", "male"]
    assert not {"kokoro", "spark"} & {model["id"] for model in (await client.get("/v1/models")).json()["data"]}


@pytest.mark.parametrize("model", ["alloy", "Anna", "voices/anna", "female"])
async def test_a_voice_that_is_named_as_the_model_speaks(client, doubles, model):
    """As LibreChat does when it is set to LocalAI."""
    await client.post(VOICES, files={"audio_sample": ("a.wav", b"sound")}, data={"name": "Anna"})
    assert (
        await client.post(SPEECH, json={"input": "Hello there.", "model": model, "backend": "x"})
    ).status_code == 200
    body = {"input": "Hello there.", "model": model, "voice": "onyx"}
    assert (await client.post(SPEECH, json=body)).json()["error"]["param"] == "model"


async def test_a_request_too_many_is_429(client, doubles):
    go_on = asyncio.Event()

    async def wait(place: int) -> None:
        await go_on.wait()

    doubles.llm.before = wait
    speaking = [asyncio.create_task(client.post(SPEECH, json={"input": "Hello there."})) for _ in range(2)]
    await doubles.llm.live.until(2)
    reply = await client.post(SPEECH, json={"input": "Hello there."})
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "overloaded")
    assert int(reply.headers["retry-after"]) >= 1
    go_on.set()
    assert [reply.status_code for reply in await asyncio.gather(*speaking)] == [200, 200]


async def test_a_stage_that_fails_half_way_breaks_the_reply_off(client, doubles):
    heard = asyncio.Event()

    async def fail(place: int) -> None:
        if place == 5:
            await heard.wait()
            raise GenerationFailed("It broke.")

    doubles.llm.before = fail
    with pytest.raises(httpx.RemoteProtocolError):
        async with client.stream("POST", SPEECH, json={"input": "Hello there.", "response_format": "pcm"}) as reply:
            async for _ in reply.aiter_raw():
                heard.set()


async def test_a_listener_who_leaves_frees_every_stage(client, doubles):
    async def wait(place: int) -> None:
        if place == 5:
            await asyncio.Event().wait()

    doubles.llm.before = wait
    async with client.stream("POST", SPEECH, json={"input": "Hello there.", "response_format": "pcm"}) as reply:
        await anext(reply.aiter_raw())
        assert (doubles.llm.live.count, doubles.detokenizer.live.count) == (1, 1)
    await doubles.llm.live.until(0)
    await doubles.detokenizer.live.until(0)


async def test_instructions_choose_a_designed_voice(client, doubles, gateway):
    await client.post(SPEECH, json={"input": "Hello there.", "instructions": "a man"})
    await client.post(SPEECH, json={"input": "Hello there.", "voice": "male"})
    by_instruction, by_name = (request.voice for request in doubles.llm.spoken[-2:])
    assert by_instruction == by_name


CUT = {"input": "Hello there.", "response_format": "pcm", "max_tokens": 12}


@pytest.mark.parametrize("reason", FinishReason)
async def test_a_whole_reply_that_was_cut_says_so_in_a_header(client, doubles, reason):
    doubles.llm.reason = lambda request: reason
    reply = await client.post(SPEECH, json=CUT | {"stream": False})
    assert reply.headers.get("x-voxline-truncated") == ("true" if reason is FinishReason.LENGTH else None)


@pytest.mark.parametrize(("reason", "said"), [(FinishReason.STOP, "stop"), (FinishReason.LENGTH, "length")])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_last_event_says_whether_the_reply_was_cut(client, doubles, reason, said, stream):
    doubles.llm.reason = lambda request: reason
    reply = await client.post(SPEECH, json=CUT | {"stream": stream, "stream_format": "sse"})
    last = json.loads(reply.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert (last["type"], last["finish_reason"]) == ("speech.audio.done", said)


def failing(error: VoxlineError, at: int, heard: asyncio.Event):
    """Raises at that place, once the listener has heard something."""

    async def before(place: int) -> None:
        if place == at:
            await heard.wait()
        if heard.is_set():
            raise error

    return before


@pytest.mark.parametrize("stage", ["tokenizer", "llm", "detokenizer"])
@pytest.mark.parametrize("cls", TABLE)
async def test_an_error_of_a_stage_before_the_first_byte_is_its_row(client, doubles, stage, cls):
    heard = asyncio.Event()
    heard.set()
    getattr(doubles, stage).before = failing(cls("What happened."), 0, heard)
    if stage == "tokenizer":
        reply = await client.post(VOICES, data={"name": "Anna"}, files={"audio_sample": ("a.wav", b"abcd")})
    else:
        reply = await client.post(SPEECH, json={"input": "Hello there."})
    assert reply.status_code == TABLE[outcome(cls, stage)].http
    error = reply.json()["error"]
    row = TABLE[outcome(cls, stage)]
    assert (error["type"], error["code"]) == (row.openai_type, row.openai_code)
    assert error["message"]


@pytest.mark.parametrize(("stage", "at"), [("llm", 5), ("detokenizer", 2)])
@pytest.mark.parametrize("cls", TABLE)
async def test_an_error_of_a_stage_after_the_first_byte_is_its_row_as_an_event(client, doubles, stage, at, cls):
    heard = asyncio.Event()
    getattr(doubles, stage).before = failing(cls("What happened."), at, heard)
    body = {"input": "Hello there.", "response_format": "pcm", "stream_format": "sse"}
    events = []
    with pytest.raises(httpx.RemoteProtocolError):
        async with client.stream("POST", SPEECH, json=body) as reply:
            async for line in reply.aiter_lines():
                heard.set()
                events += [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []
    assert events[0]["type"] == "speech.audio.delta"
    assert (events[-1]["type"], events[-1]["error"]["code"]) == ("error", TABLE[outcome(cls, stage)].openai_code)


async def test_a_place_in_the_list_that_is_none_is_named_as_it_was_sent(client):
    reply = await client.get("/v1/audio/voices", params={"after": "\0"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "after")
