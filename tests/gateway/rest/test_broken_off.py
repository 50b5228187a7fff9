"""A reply that has begun: it never ends cleanly after a failure, and its work ends when the listener leaves."""

import asyncio
import json

import httpx
import pytest

from services.runtime.errors import GenerationFailed, StageUnavailable

BODY = {"input": "Hi."}


async def read(client, **fields):
    """The bytes that came, and the error that ended them."""
    received = b""
    with pytest.raises(httpx.RemoteProtocolError) as raised:
        async with client.stream("POST", "/v1/audio/speech", json=BODY | fields) as reply:
            assert reply.status_code == 200
            async for chunk in reply.aiter_raw():
                received += chunk
    return received, raised.value


@pytest.mark.parametrize("error", [StageUnavailable("llm is down"), ZeroDivisionError("secret")])
async def test_a_failure_after_the_first_byte_is_no_clean_end(client, gateway, error):
    gateway.script = (b"one", error)
    received, raised = await read(client)
    assert received == b"one"
    assert "incomplete" in str(raised)
    assert gateway.closed.is_set()


async def test_events_end_with_the_error_and_no_clean_end(client, gateway):
    gateway.script = (b"one", GenerationFailed("no end of speech"))
    received, _ = await read(client, stream_format="sse")
    last = received.decode().split("\n\n")[-2]
    assert last.startswith("event: error\ndata: ")
    event = json.loads(last.split("data: ")[1])
    assert event["type"] == "error"
    assert event["error"] == {
        "message": "no end of speech",
        "type": "server_error",
        "param": None,
        "code": "generation_failed",
    }


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_a_listener_who_leaves_ends_the_work(client, gateway, stream_format):
    gateway.script = (b"one", asyncio.Event())
    async with client.stream("POST", "/v1/audio/speech", json=BODY | {"stream_format": stream_format}) as reply:
        await anext(reply.aiter_raw())
        assert not gateway.closed.is_set()
    await asyncio.wait_for(gateway.closed.wait(), 60)


async def test_a_caller_who_leaves_before_the_first_byte_ends_the_work(client, gateway):
    gateway.script = (asyncio.Event(),)
    asking = asyncio.create_task(client.post("/v1/audio/speech", json=BODY))
    await gateway.begun.wait()
    asking.cancel()
    await asyncio.wait_for(gateway.closed.wait(), 60)


async def test_a_listener_who_leaves_while_bytes_are_on_their_way_ends_the_work(client, gateway):
    gateway.script = [b"x" * 65_536] * 1000
    async with client.stream("POST", "/v1/audio/speech", json=BODY):
        await gateway.begun.wait()
    await asyncio.wait_for(gateway.closed.wait(), 60)


async def test_a_reply_that_broke_off_counts_as_what_broke_it(client, gateway, registry):
    gateway.script = (b"one", StageUnavailable("llm is down"))
    await read(client)
    labels = {"method": "POST", "route": "/v1/audio/speech", "status": "503"}
    assert registry.get_sample_value("voxline_gateway_http_requests_total", labels) == 1


async def test_a_caller_who_left_counts_as_499(client, gateway, registry):
    gateway.script = (b"one", asyncio.Event())
    async with client.stream("POST", "/v1/audio/speech", json=BODY):
        pass
    await gateway.closed.wait()
    await client.get("/healthz")
    labels = {"method": "POST", "route": "/v1/audio/speech", "status": "499"}
    assert registry.get_sample_value("voxline_gateway_http_requests_total", labels) == 1
    assert registry.get_sample_value("voxline_gateway_http_in_flight") == 0
