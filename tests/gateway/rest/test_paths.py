"""Paths as callers write them, and which methods they have."""

import pytest

from services.gateway.access.demands import REST
from services.gateway.rest.app import RestOptions

from .conftest import ended

SPEECH = {"input": "Hi."}
ROUTES = sorted({path.partition("{")[0] + ("x" if "{" in path else "") for _, path in REST})


@pytest.mark.parametrize(
    "path",
    ["/v1/audio/speech/", "//v1//audio/speech", "/v1//audio///speech//", "//v1/audio/speech", "/v1/%2Faudio/speech"],
)
async def test_slashes_too_many_keep_the_body_of_a_post(client, gateway, connect, path):
    """httpx would take what follows two slashes for a host."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    reader, _ = await connect(client, head.encode() + b'Content-Length: 15\r\n\r\n{"input":"Hi."}')
    assert (await ended(reader)).startswith(b"HTTP/1.1 200")
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    "path",
    ["/v1/", "/v1/models/", "/v1//models", "/v1/models/org/other/", "/v1/audio/voices//alloy/", "/docs/", "/health/"],
)
async def test_slashes_too_many_lead_to_the_same_reply(client, path):
    reply = await client.get(path)
    assert (reply.status_code, reply.history) == (200, [])


async def test_a_key_is_asked_for_however_the_path_is_written(serve):
    client = await serve(api_key="secret")
    assert (await client.post("/v1//audio/speech/", json=SPEECH)).status_code == 401


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("options", [RestOptions(), RestOptions(cors_origins=("*",))], ids=["closed", "cors"])
async def test_options_of_every_route_says_its_methods(serve, path, options):
    client = await serve(options, api_key="secret")
    reply = await client.options(path)
    assert (reply.status_code, reply.content) == (204, b"")
    assert "OPTIONS" in reply.headers["allow"].split(", ")
    assert reply.headers["x-request-id"]


async def test_every_method_of_a_path_is_told(client):
    voices = "GET, HEAD, OPTIONS, POST"
    assert (await client.options("/v1/audio/voices/")).headers["allow"] == voices
    refused = await client.put("/v1/audio/voices")
    assert (refused.status_code, refused.headers["allow"]) == (405, voices)
    assert voices in refused.json()["error"]["message"]


async def test_options_of_all_paths_says_all_methods(client, connect):
    reader, _ = await connect(client, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    reply = await ended(reader)
    assert reply.startswith(b"HTTP/1.1 204")
    assert b"allow: DELETE, GET, HEAD, OPTIONS, POST" in reply


async def test_options_of_no_route_is_404(client):
    assert (await client.options("/nowhere")).status_code == 404


@pytest.mark.parametrize("path", ROUTES)
async def test_head_answers_as_get(client, path):
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.headers.get("content-length")) == (
        get.status_code,
        get.headers.get("content-length"),
    )
