"""Voices over HTTP: the lists that clients read, and a clone's way in and out."""

import re

import pytest

from services.runtime.errors import InvalidRequest, StageUnavailable

VOICES = "/v1/audio/voices"
FILES = {"audio_sample": ("a.wav", b"sound", "audio/wav")}
ANNA = {"id": "anna", "object": "audio.voice", "created_at": 1767312000, "name": "Anna", "type": "audio_sample"}


async def create(client, files=FILES, **data):
    return await client.post(VOICES, files=files, data={"name": "Anna"} | data)


async def test_the_list_shows_every_voice_that_a_request_may_name(client):
    await create(client)
    body = (await client.get(VOICES)).json()
    assert [voice["id"] for voice in body["voices"]] == ["female", "alloy", "anna"]
    assert all(voice["name"] for voice in body["voices"])
    assert body["data"] == body["voices"]
    assert (body["object"], body["first_id"], body["last_id"], body["has_more"]) == ("list", "female", "anna", False)


async def test_the_legacy_list_holds_strings(client):
    assert (await client.get(VOICES, params={"legacy": "true"})).json() == {"voices": ["female", "alloy"]}


async def test_a_voice_is_made_shown_and_deleted(client, gateway):
    created = await create(client, consent="cons_1", transcript="Some words.")
    assert (created.status_code, created.json()) == (200, ANNA)
    assert gateway.voices.samples == {"anna": b"sound"}
    assert gateway.voices.stored["anna"].transcript == "Some words."
    assert (await client.get(f"{VOICES}/anna")).json() == ANNA
    deleted = await client.delete(f"{VOICES}/anna")
    assert deleted.json() == {"id": "anna", "object": "audio.voice.deleted", "deleted": True}
    assert (await client.delete(f"{VOICES}/anna")).status_code == 404


async def test_a_voice_may_choose_its_id(client):
    assert (await create(client, id="a-1")).json()["id"] == "a-1"


async def test_a_built_in_voice_says_so(client):
    voice = (await client.get(f"{VOICES}/alloy")).json()
    assert (voice["type"], voice["created_at"]) == ("built_in", 0)


@pytest.mark.parametrize(
    ("files", "data", "param"),
    [
        ({}, {"name": "Anna"}, "audio_sample"),
        (FILES, {}, "name"),
        ({"audio_sample": ("a.wav", b"", "audio/wav")}, {"name": "Anna"}, "audio_sample"),
        ({}, {"name": "Anna", "audio_sample": "no file"}, "audio_sample"),
        (FILES, {"name": "Anna", "type": "prompt"}, "type"),
    ],
    ids=["no sample", "no name", "empty sample", "text for a sample", "from a prompt"],
)
async def test_a_wrong_form_is_400_and_names_the_field(client, files, data, param):
    reply = await client.post(VOICES, files=files or {"other": b"x"}, data=data)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert not re.search("Input should|Expected|<class", reply.json()["error"]["message"])


async def test_json_where_a_form_belongs_is_400(client):
    assert (await client.post(VOICES, json={"name": "Anna"})).status_code == 400


async def test_a_broken_form_is_400(client):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    reply = await client.post(VOICES, content=b"no form", headers=headers)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_what_the_tokenizer_refuses_is_the_fault_of_the_sample(client, gateway):
    gateway.voices.error = InvalidRequest("no audio", field="audio")
    reply = await create(client)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "audio_sample")


async def test_a_sample_over_the_limit_is_413(client):
    reply = await create(client, files={"audio_sample": ("a.wav", b"x" * 27_000_000, "audio/wav")})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")


async def test_a_name_that_is_taken_is_409_and_not_to_be_tried_again(client):
    await create(client)
    reply = await create(client)
    assert (reply.status_code, reply.json()["error"]["param"]) == (409, "id")
    assert reply.headers["x-should-retry"] == "false"


async def test_a_stage_that_is_down_is_503(client, gateway):
    gateway.voices.error = StageUnavailable("tokenizer is down")
    assert (await create(client)).status_code == 503


async def test_an_unknown_voice_is_404(client):
    reply = await client.get(f"{VOICES}/nobody")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "voice_not_found")


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", ""), ("GET", "/cons_1"), ("DELETE", "/cons_1")])
async def test_consents_are_unsupported_and_not_to_be_tried_again(client, method, path):
    reply = await client.request(method, f"/v1/audio/voice_consents{path}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (501, "unsupported")
    assert reply.headers["x-should-retry"] == "false"


async def test_voices_are_listed_in_pages(client):
    first = (await client.get("/v1/audio/voices", params={"limit": 1})).json()
    assert ([voice["id"] for voice in first["data"]], first["has_more"]) == (["female"], True)
    rest = (await client.get("/v1/audio/voices", params={"after": first["last_id"]})).json()
    assert ([voice["id"] for voice in rest["data"]], rest["has_more"]) == (["alloy"], False)


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
async def test_a_page_of_no_such_size_is_400(client, limit):
    reply = await client.get("/v1/audio/voices", params={"limit": limit})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "limit")
