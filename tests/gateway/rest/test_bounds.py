"""What a connection may cost, tried over bare sockets: time, size and number of what is sent."""

import asyncio
import json

import pytest

from services.gateway.http.limits import HttpLimits, networks
from services.gateway.rest.app import RestOptions
from services.gateway.rest.body_limits import BodyLimits

from .conftest import PATIENCE, ended

HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
JSON = b'{"input": "Hi."}'
WHOLE = HEAD + b"Content-Length: 16\r\n\r\n" + JSON
SOON = HttpLimits(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.3)


def refused(reply: bytes) -> tuple[int, str]:
    """Status and code of an error in OpenAI's form."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize("sent", [b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n", HEAD])
async def test_half_a_head_is_408(serve, connect, sent):
    reader, _ = await connect(await serve(limits=SOON), sent)
    assert refused(await ended(reader)) == (408, "request_timeout")


async def test_who_says_nothing_is_not_kept(serve, connect):
    reader, _ = await connect(await serve(limits=SOON))
    assert await ended(reader) == b""


async def test_a_head_that_trickles_is_408(serve, connect):
    reader, writer = await connect(await serve(limits=SOON), b"GET / HTTP/1.1\r\n")
    ending = asyncio.create_task(ended(reader))
    while not ending.done():
        writer.write(b"a: b\r\n")
        await asyncio.sleep(0.05)
    assert refused(await ending)[0] == 408


@pytest.mark.parametrize(
    "head", [b"Content-Length: 16\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n8\r\n"], ids=["length", "chunks"]
)
async def test_half_a_body_is_408_and_ends_the_request(serve, connect, gateway, head):
    reader, _ = await connect(await serve(limits=SOON), HEAD + head + JSON[:8])
    assert refused(await ended(reader)) == (408, "request_timeout")
    assert not gateway.requests


async def test_a_slow_body_that_keeps_the_rate_is_read(serve, connect):
    limits = HttpLimits(body_seconds=0.2, body_bytes_per_second=1)
    reader, writer = await connect(await serve(limits=limits), WHOLE[:-1])
    await asyncio.sleep(0.5)
    writer.write(WHOLE[-1:])
    assert (await reader.readline()).split()[1] == b"200"


async def test_an_idle_connection_is_closed_between_requests(serve, connect):
    reader, _ = await connect(await serve(limits=SOON), WHOLE)
    reply = await ended(reader)
    assert reply.startswith(b"HTTP/1.1 200")
    assert reply.endswith(b"0\r\n\r\n")


async def test_a_reply_takes_as_long_as_it_takes(serve, connect, gateway):
    go_on = asyncio.Event()
    gateway.script = (b"one", go_on, b"two")
    reader, writer = await connect(await serve(limits=SOON), WHOLE)
    await reader.readuntil(b"one")
    writer.write(b"GET /he")  # Half of the next one.
    await asyncio.sleep(0.7)
    go_on.set()
    assert b"two" in await ended(reader)


async def test_half_sent_requests_are_all_let_go(serve, connect, registry):
    client = await serve(limits=SOON)
    opened = [await connect(client, WHOLE[: n % len(WHOLE)]) for n in range(300)]
    await asyncio.gather(*(ended(reader) for reader, _ in opened))
    assert (await client.get("/healthz")).status_code == 200
    assert registry.get_sample_value("voxline_gateway_http_connections") == 1
    assert registry.get_sample_value("voxline_gateway_http_refused_total", {"reason": "late head"}) > 0


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 40_000,
        b"GET / HTTP/1.1\r\na: " + b"a" * 40_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200,
        WHOLE[:-16].replace(b"Content-Length: 16", b"Transfer-Encoding: chunked") + b"0\r\n" + b"a: b\r\n" * 200,
    ],
    ids=["url", "header", "headers", "headers behind the body"],
)
async def test_a_head_over_the_limit_is_431(serve, connect, sent):
    reader, _ = await connect(await serve(), sent)
    assert refused(await ended(reader)) == (431, "too_large")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"hello\r\n\r\n", "method"),
        (b"\x16\x03\x01\x02\x00", "method"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "Content-Length"),
        (b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", "header"),
        (b"GET / HTTP/9.9\r\n\r\n", "version"),
        (b"CONNECT " + b"a" * 9000 + b":1 HTTP/1.1\r\n\r\n", "no HTTP request"),
    ],
)
async def test_what_is_no_http_is_400_and_says_why(serve, connect, sent, says):
    reader, _ = await connect(await serve(), sent)
    reply = await ended(reader)
    assert refused(reply) == (400, "invalid_value")
    assert says in json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["message"]
    assert len(reply) < 500


async def test_comments_on_chunks_are_bounded(serve, connect):
    sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 50_000
    reader, _ = await connect(await serve(), sent)
    assert refused(await ended(reader))[0] == 400


async def test_few_requests_wait_for_the_reply_to_another(serve, connect, gateway):
    gateway.script = (asyncio.Event(),)
    reader, writer = await connect(await serve(), WHOLE)
    await gateway.begun.wait()
    writer.write(WHOLE * 50)
    assert refused(await ended(reader)) == (429, "overloaded")
    async with asyncio.timeout(PATIENCE):
        await gateway.closed.wait()
    assert len(gateway.requests) == 1


async def test_requests_in_a_row_are_answered_in_order(serve, connect):
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    reader, _ = await connect(await serve(), get + b"\r\n" + get + b"\r\n" + get + b"Connection: close\r\n\r\n")
    assert (await ended(reader)).count(b"200 OK") == 3


async def test_connections_in_all_are_bounded(serve, connect):
    client = await serve(limits=HttpLimits(connections=3))
    kept = [await connect(client, WHOLE) for _ in range(3)]
    for reader, _ in kept:
        await reader.readuntil(b"0\r\n\r\n")
    reader, _ = await connect(client)
    assert refused(await ended(reader)) == (503, "unavailable")
    kept[0][1].close()
    async with asyncio.timeout(PATIENCE):
        while True:
            reader, writer = await connect(client, WHOLE)
            if (await reader.readline()).split()[1] == b"200":
                return
            writer.close()


async def test_one_address_gets_its_share(serve, connect):
    client = await serve(limits=HttpLimits(connections_per_address=2, proxies=networks("10.0.0.0/8")))
    for _ in range(2):
        reader, _ = await connect(client, WHOLE)
        await reader.readuntil(b"0\r\n\r\n")
    reader, _ = await connect(client)
    assert refused(await ended(reader)) == (429, "overloaded")


@pytest.mark.parametrize(
    "limits", [HttpLimits(connections_per_address=2), HttpLimits(connections_per_address=0, proxies=())]
)
async def test_a_proxy_speaks_for_many(serve, connect, limits):
    client = await serve(limits=limits)
    for _ in range(5):
        reader, _ = await connect(client, WHOLE)
        assert (await reader.readline()).split()[1] == b"200"


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("10.1.2.3", True),
        ("fe80::1", True),
        ("", False),
    ],
)
def test_who_is_one_caller(address, alone):
    assert HttpLimits().for_itself(address) is alone


SMALL = RestOptions(body_limits=BodyLimits(json_bytes=20_000, upload_bytes=30_000))
FORM = HEAD.replace(b"application/json", b"multipart/form-data; boundary=b")


@pytest.mark.parametrize(("head", "length", "says"), [(HEAD, 20_001, "multipart"), (FORM, 30_001, "UPLOAD_BYTES")])
async def test_an_announced_body_over_the_limit_is_refused_before_it_comes(serve, connect, head, length, says):
    reader, _ = await connect(await serve(SMALL), head + b"Content-Length: %d\r\n\r\n" % length)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413")
    assert says in (await reader.readuntil(b"}}")).decode()


async def test_a_connection_goes_on_after_a_body_that_was_refused(serve, connect):
    sent = HEAD + b"Content-Length: 100000\r\n\r\n" + b"a" * 100_000 + WHOLE
    reader, _ = await connect(await serve(SMALL, SOON), sent)
    reply = await ended(reader)
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"HTTP/1.1 200" in reply


async def test_the_rest_of_a_refused_body_is_not_read_for_ever(serve, connect):
    limits = HttpLimits(body_bytes=50_000)
    sent = HEAD + b"Content-Length: 10000000\r\n\r\n" + b"a" * 200_000
    reader, _ = await connect(await serve(SMALL, limits), sent)
    assert (await ended(reader)).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "value", [b"[]," * 20_000, b'{"":{}},' * 20_000, b"0," * 20_000, b'"",' * 20_000, b"[" * 20_000], ids=repr
)
async def test_a_body_of_too_many_values_is_not_parsed(client, value):
    content = b'{"input": [' + value + b"0]}"
    reply = await client.post("/v1/audio/speech", content=content, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")
    assert "values" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({f"field{n}": "a" for n in range(40)}, {"audio_sample": b"sound"}),
        ({"name": "Anna", "transcript": "a" * 300_000}, {"audio_sample": b"sound"}),
        ({"name": "Anna"}, [("audio_sample", b"sound")] * 3),
    ],
    ids=["fields", "field", "files"],
)
async def test_a_form_has_few_small_fields_and_one_file(client, gateway, data, files):
    reply = await client.post("/v1/audio/voices", data=data, files=files)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_value")
    assert not gateway.voices.stored
