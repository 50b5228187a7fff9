"""The lists of models, in the forms that clients read."""

import pytest

MODEL = {"id": "voxline-small", "object": "model", "created": 0, "owned_by": "voxline"}


async def test_the_list_has_the_served_model_and_its_aliases(client):
    body = (await client.get("/v1/models")).json()
    assert body["object"] == "list"
    assert body["data"][0] == MODEL
    assert [model["id"] for model in body["data"]] == ["voxline-small", "org/other", "tts-1"]


async def test_open_webui_finds_its_models(client):
    body = (await client.get("/v1/audio/models")).json()
    assert body["models"][0]["id"] == "voxline-small"
    assert body["data"] == body["models"]


@pytest.mark.parametrize("model", ["voxline-small", "tts-1", "org/other"])
async def test_a_model_is_shown(client, model):
    assert (await client.get(f"/v1/models/{model}")).json()["id"] == model


async def test_an_unknown_model_is_404(client):
    reply = await client.get("/v1/models/gpt-9")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
async def test_livekit_may_knock(client, path):
    assert (await client.get(path)).status_code == 200
