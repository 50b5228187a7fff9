"""A listener over gRPC that reads nothing more: its reply ends, and it learns so when it comes back."""

import asyncio
from contextlib import suppress

import grpc
import pytest

from services.gateway.admission import AdmissionPolicy
from services.gateway.gateway import SpeechOptions
from voxline.v1 import text_to_speech_pb2 as pb

from .conftest import speech

# More than every buffer between server and client holds.
LONG = speech(text="A long text that nobody reads to its end. " * 1000)


@pytest.fixture
def options():
    return SpeechOptions(AdmissionPolicy(max_requests=1, paused_seconds=0.05, gone_seconds=0.3), pause_seconds=0.0)


async def until_none_is_served(registry) -> None:
    async with asyncio.timeout(60):
        while registry.get_sample_value("voxline_gateway_active_streams"):
            await asyncio.sleep(0.05)


async def ended(call) -> grpc.StatusCode:
    """Reads what was still to be read."""
    async with asyncio.timeout(30):
        with suppress(grpc.aio.AioRpcError):
            while await call.read() is not grpc.aio.EOF:
                pass
        return await call.code()


@pytest.mark.timeout(120)
async def test_a_reply_that_nobody_reads_ends(stub, registry):
    call = stub.Synthesize(LONG)
    await call.read()
    assert registry.get_sample_value("voxline_gateway_active_streams") == 1
    await until_none_is_served(registry)
    assert await ended(call) is grpc.StatusCode.CANCELLED
    assert [response async for response in stub.Synthesize(speech())], "the slot is free"


@pytest.mark.timeout(120)
async def test_a_text_stream_whose_reply_nobody_reads_ends(stub, registry):
    call = stub.StreamingSynthesize()
    await call.write(pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest()))
    await call.write(pb.StreamingSynthesizeRequest(text=LONG.text))
    await call.done_writing()
    await call.read()
    await until_none_is_served(registry)
    assert await ended(call) is grpc.StatusCode.CANCELLED
