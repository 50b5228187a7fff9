"""What holds for every request: its id, the key, CORS, HEAD, metrics and the log."""

import asyncio
import logging

import pytest
from starlette.datastructures import Headers

from services.gateway.rest.app import RestOptions
from services.gateway.rest.middleware.request_id import RequestId
from services.runtime.errors import GenerationFailed

SPEECH = "/v1/audio/speech"
BODY = {"input": "Hi."}
ORIGIN = {"origin": "http://page.example"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("POST", SPEECH), ("GET", "/nothing"), ("GET", SPEECH), ("GET", "/"), ("GET", "/healthz")],
)
async def test_every_reply_has_a_request_id(client, method, path):
    first, second = await client.request(method, path), await client.request(method, path)
    assert first.headers["x-request-id"].startswith("req_")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_a_well_formed_request_id_comes_back(client, gateway):
    gateway.script = (GenerationFailed("no"),)
    reply = await client.post(SPEECH, json=BODY, headers={"x-request-id": "trace:1.2_3-4"})
    assert reply.headers["x-request-id"] == "trace:1.2_3-4"


@pytest.mark.parametrize("sent", ["a b", "", "x" * 129, 'a;b="c"'])
async def test_a_malformed_request_id_is_replaced(client, sent):
    reply = await client.get("/v1/models", headers={"x-request-id": sent})
    assert reply.headers["x-request-id"].startswith("req_")


async def test_a_reply_names_its_request_once():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"theirs")]})

    sent = []

    async def send(message):
        sent.append(message)

    await RequestId(app)({"type": "http", "headers": [(b"x-request-id", b"ours")]}, None, send)
    assert Headers(raw=sent[0]["headers"]).getlist("x-request-id") == ["ours"]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer anything", "Basic abc"])
async def test_without_a_key_everybody_may_speak(client, authorization):
    assert (await client.post(SPEECH, json=BODY, headers={"authorization": authorization})).status_code == 200


@pytest.mark.parametrize(("api_key", "status"), [("", b"200"), ("secret", b"401")])
async def test_an_empty_key_as_sillytavern_sends_it(serve, api_key, status):
    """httpx would not send the blank at the end."""
    url = (await serve(api_key=api_key)).base_url
    request = (
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \r\n"
        b'Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{"input":"Hi."}'
    )
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request)
    reply = await reader.read()
    writer.close()
    assert reply.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic secret", "secret"])
async def test_with_a_key_nobody_else_may_speak(serve, gateway, authorization):
    client = await serve(api_key="secret")
    headers = {} if authorization is None else {"authorization": authorization}
    reply = await client.post(SPEECH, json=BODY, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.headers["x-request-id"]
    assert not gateway.requests


async def test_the_key_lets_speak(serve):
    client = await serve(api_key="secret")
    assert (await client.post(SPEECH, json=BODY, headers={"authorization": "Bearer secret"})).status_code == 200


@pytest.mark.parametrize("path", ["/v1/", "/v1/models", "/v1/audio/models", "/v1/audio/voices", "/healthz"])
async def test_what_only_reads_needs_no_key(serve, path):
    client = await serve(api_key="secret")
    assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/audio/voices"), ("DELETE", "/v1/audio/voices/anna")])
async def test_changing_voices_needs_the_key(serve, method, path):
    client = await serve(api_key="secret")
    assert (await client.request(method, path)).status_code == 401


async def test_a_page_of_an_allowed_origin_may_call(serve):
    client = await serve(RestOptions(cors_origins=("http://page.example",)), api_key="secret")
    asked = ORIGIN | {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    preflight = await client.options(SPEECH, headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "http://page.example"
    assert preflight.headers["x-request-id"]
    refused = await client.post(SPEECH, json=BODY, headers=ORIGIN)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "http://page.example"
    assert {"x-request-id", "server-timing"} <= set(refused.headers["access-control-expose-headers"].split(", "))


async def test_a_page_of_another_origin_may_not_call(serve):
    client = await serve(RestOptions(cors_origins=("http://other.example",)))
    asked = ORIGIN | {"access-control-request-method": "POST"}
    assert (await client.options(SPEECH, headers=asked)).status_code == 400
    assert "access-control-allow-origin" not in (await client.get("/v1/models", headers=ORIGIN)).headers


PRIVATE = {"access-control-request-private-network": "true"}


@pytest.mark.parametrize("origins", [("*",), (ORIGIN["origin"],)])
@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        (SPEECH, "POST", "content-type"),
        (SPEECH, "POST", "authorization"),
        ("/v1/audio/voices/anna", "DELETE", "x-other"),
    ],
)
async def test_a_page_on_the_internet_may_call_a_gateway_at_home(serve, origins, path, method, headers):
    client = await serve(RestOptions(cors_origins=origins))
    asked = {"access-control-request-method": method, "access-control-request-headers": headers}
    reply = await client.options(path, headers=ORIGIN | asked | PRIVATE)
    assert (reply.status_code, reply.headers["access-control-allow-private-network"]) == (200, "true")
    assert reply.headers["access-control-allow-origin"] in ("*", ORIGIN["origin"])
    assert "access-control-allow-private-network" not in (await client.options(path, headers=ORIGIN | asked)).headers


@pytest.mark.parametrize("origins", [(), ("http://other.example",)])
async def test_a_page_of_another_origin_may_not_call_a_gateway_at_home(serve, origins):
    client = await serve(RestOptions(cors_origins=origins))
    asked = {"access-control-request-method": "POST"}
    reply = await client.options(SPEECH, headers=ORIGIN | asked | PRIVATE)
    assert "access-control-allow-origin" not in reply.headers


async def test_without_origins_no_page_may_call(client):
    assert "access-control-allow-origin" not in (await client.get("/v1/models", headers=ORIGIN)).headers


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models", "/v1/audio/voices"])
async def test_head_is_get_without_the_body(client, path):
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.headers["content-length"]) == (get.status_code, get.headers["content-length"])
    assert head.content == b""


async def test_head_does_not_speak(client, gateway):
    assert (await client.head(SPEECH)).status_code == 405
    assert not gateway.requests


async def test_requests_are_counted_by_template(client, registry):
    for voice in ("a", "b"):
        await client.get(f"/v1/audio/voices/{voice}")
    await client.get("/nowhere/at/all")
    labels = {"method": "GET", "route": "/v1/audio/voices/{voice_id:path}", "status": "404"}
    assert registry.get_sample_value("voxline_gateway_http_requests_total", labels) == 2
    labels = {"method": "GET", "route": "unmatched", "status": "404"}
    assert registry.get_sample_value("voxline_gateway_http_requests_total", labels) == 1
    seconds = registry.get_sample_value(
        "voxline_gateway_http_seconds_count", {"route": "/v1/audio/voices/{voice_id:path}"}
    )
    assert seconds == 2


async def test_every_request_but_probes_is_logged_once(client, caplog):
    caplog.set_level(logging.INFO, "services.gateway.rest")
    await client.get("/healthz")
    await client.post(SPEECH, json=BODY)
    (record,) = [record for record in caplog.records if record.message == "http"]
    assert (record.method, record.path, record.status) == ("POST", SPEECH, 200)
    assert record.seconds >= 0
