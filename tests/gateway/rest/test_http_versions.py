"""Callers who speak, or offer, another HTTP than 1.1: over bare sockets, curl and Java's own client."""

import asyncio
import shutil
from pathlib import Path

import pytest

from services.gateway.http.limits import HttpLimits
from services.gateway.settings import GatewaySettings
from services.runtime.errors import StageUnavailable

from .conftest import PATIENCE, ended

JSON = b'{"input": "Hi."}'
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
OFFERS = {
    "h2c": H2C,
    "kept alive": H2C.replace(b"Connection: ", b"Connection: keep-alive, "),
    "websocket": b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: YQ==\r\n",
    "several": b"Upgrade: h2c, websocket\r\nUpgrade: TLS/1.3\r\nConnection: Upgrade\r\n",
}
BODIES = {
    "length": b"Content-Length: 16\r\n\r\n" + JSON,
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n6\r\n" + JSON[:6] + b"\r\na\r\n" + JSON[6:] + b"\r\n0\r\n\r\n",
}
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
NEEDS_JAVA = pytest.mark.skipif(not shutil.which("java"), reason="needs java")
NEEDS_CURL = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


async def output(*command: object) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=-1, stderr=-2)
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("offer", OFFERS)
async def test_an_offer_of_another_protocol_is_ignored_and_the_body_read(client, connect, gateway, offer, body, piece):
    sent = HEAD + OFFERS[offer] + BODIES[body] + LAST
    reader, writer = await connect(client)
    for start in range(0, len(sent), piece):
        writer.write(sent[start : start + piece])
        await writer.drain()
    reply = await ended(reader)
    assert reply.count(b"HTTP/1.1 200 OK") == 2
    assert b"101" not in reply.split(b"\r\n")[0]
    assert [request.turns[0].text for request in gateway.requests] == ["Hi."]


async def test_an_offer_without_a_body_is_ignored(client, connect):
    offer = LAST.replace(b"Connection: close\r\n", H2C)
    reader, _ = await connect(client, offer + offer + LAST)
    assert (await ended(reader)).count(b"HTTP/1.1 200 OK") == 3


async def test_an_offer_does_not_widen_the_bounds(serve, connect):
    client = await serve(limits=HttpLimits(headers=5))
    reader, _ = await connect(client, HEAD + H2C + BODIES["length"])
    assert (await ended(reader)).startswith(b"HTTP/1.1 431")


@NEEDS_JAVA
async def test_javas_own_client_is_answered(client):
    source = Path(__file__).with_name("OfferingClient.java")
    status, said = await output("java", source, f"{client.base_url}/v1/audio/speech", JSON.decode())
    assert (status, said.split("\n")[:2]) == (0, ["HTTP_1_1 200 onetwo"] * 2)


@NEEDS_CURL
@pytest.mark.parametrize("version", ["--http2", "--http1.1", "--http1.0"])
async def test_curl_is_answered_in_each_version(client, version):
    url = f"{client.base_url}/v1/audio/speech"
    command = (
        "curl",
        "-sS",
        "--noproxy",
        "*",
        version,
        url,
        "-H",
        "Content-Type: application/json",
        "-d",
        JSON.decode(),
    )
    assert await output(*command) == (0, "onetwo")


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")


@pytest.mark.parametrize("piece", [1, 10, 100])
async def test_who_speaks_http_2_at_once_is_told_so_in_http_2(client, connect, piece):
    reader, writer = await connect(client)
    for start in range(0, len(PREFACE), piece):
        writer.write(PREFACE[start : start + piece])
        await asyncio.sleep(0)
    reply = await ended(reader)
    settings, goaway = reply[:9], reply[9:]
    assert settings == bytes.fromhex("000000040000000000")
    assert (goaway[3], goaway[9:17]) == (7, bytes.fromhex("000000000000000d"))
    assert b"HTTP/1.1" in goaway[17:]
    assert len(goaway) == 9 + int.from_bytes(goaway[:3])


@NEEDS_CURL
async def test_curl_with_prior_knowledge_ends(client):
    status, _ = await output("curl", "-sS", "--noproxy", "*", "--http2-prior-knowledge", f"{client.base_url}/healthz")
    assert status != 0


OLD = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + BODIES["length"]
OLDER = HEAD.replace(b"HTTP/1.1", b"HTTP/0.9") + BODIES["length"]


@pytest.mark.parametrize("sent", [OLD, OLDER, OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")])
async def test_http_1_0_gets_no_chunks(client, connect, sent):
    reader, _ = await connect(client, sent)
    head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in head
    assert b"transfer-encoding" not in head
    assert body == b"onetwo"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"404"),
        (OLD.replace(b"Hi.", b"   "), b"400"),
    ],
)
async def test_what_has_a_length_says_so_to_http_1_0(client, connect, sent, status):
    reader, _ = await connect(client, sent)
    head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert b"content-length: %d" % len(body) in head


async def test_events_come_to_http_1_0_as_they_are(client, connect):
    body = b'{"input": "Hi.", "stream_format": "sse"}'
    sent = OLD.replace(b"Length: 16", b"Length: %d" % len(body)).replace(JSON, body)
    reader, _ = await connect(client, sent)
    assert (await ended(reader)).partition(b"\r\n\r\n")[2].startswith(b'data: {"type":"speech.audio.delta"')


async def test_head_over_http_1_0_has_no_body(client, connect):
    reader, _ = await connect(client, b"HEAD /healthz HTTP/1.0\r\n\r\n")
    assert (await ended(reader)).endswith(b"\r\n\r\n")


async def test_a_reply_to_http_1_0_that_fails_has_no_clean_end(client, connect, gateway):
    gateway.script = (b"one", StageUnavailable("llm is down"))
    reader, _ = await connect(client, OLD)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionResetError):
            while await reader.read(1000):
                pass


def test_an_idle_connection_lives_for_75_seconds_unless_it_is_said_otherwise(monkeypatch):
    assert GatewaySettings().http_limits.idle_seconds == 75
    monkeypatch.setenv("VOXLINE_GATEWAY_IDLE_SECONDS", "5")
    assert GatewaySettings().http_limits.idle_seconds == 5


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + BODIES["length"],
        HEAD + H2C + BODIES["chunks"],
    ],
    ids=["get", "error", "reply in chunks", "offer"],
)
async def test_every_kind_of_reply_leaves_a_connection_for_the_next_request(serve, connect, sent):
    reader, writer = await connect(await serve(limits=HttpLimits(head_seconds=0.3)), sent)
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.6)  # Longer than a head may take: nothing is awaited.
    writer.write(LAST)
    assert (await ended(reader)).count(b"HTTP/1.1 200 OK") == 1
