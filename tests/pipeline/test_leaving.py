"""A listener who leaves frees what its request held in every stage, as the stages' own metrics say."""

import asyncio
import contextlib
import time

import grpc
import httpx
from prometheus_client import parser

from bench.stack import RunningStack
from voxline.v1 import text_to_speech_pb2, text_to_speech_pb2_grpc

LONG = "The old farmer painted his barn before winter came. " * 40
HELD = {"llm": "voxline_llm_running", "detokenizer": "voxline_detokenizer_streams"}


async def held(client: httpx.AsyncClient, stack: RunningStack) -> dict[str, float]:
    """Sequences and streams that are held now."""
    texts = {stage: (await client.get(stack.metrics_url(stage))).text for stage in HELD}
    families = {
        stage: {f.name: f for f in parser.text_string_to_metric_families(text)} for stage, text in texts.items()
    }
    return {stage: families[stage][name].samples[0].value for stage, name in HELD.items()}


async def freed_after(client: httpx.AsyncClient, stack: RunningStack) -> float:
    """Seconds until nothing is held."""
    left = time.perf_counter()
    while any((await held(client, stack)).values()):
        assert time.perf_counter() - left < 5, "still held"
    return time.perf_counter() - left


async def test_leaving_over_http_frees_every_stage_within_100_ms(stack: RunningStack) -> None:
    async with httpx.AsyncClient(timeout=30) as client, contextlib.AsyncExitStack() as listening:
        body = {"input": LONG, "response_format": "pcm"}
        stream = client.stream("POST", f"{stack.url}/v1/audio/speech", json=body)
        reply = await listening.enter_async_context(stream)
        await anext(reply.aiter_raw())
        assert any((await held(client, stack)).values())
        await listening.aclose()
        assert await freed_after(client, stack) < 0.1


async def test_leaving_over_grpc_frees_every_stage_within_100_ms(stack: RunningStack) -> None:
    async with grpc.aio.insecure_channel(stack.grpc) as channel, httpx.AsyncClient(timeout=30) as client:
        stub = text_to_speech_pb2_grpc.TextToSpeechServiceStub(channel)
        call = stub.Synthesize(text_to_speech_pb2.SynthesizeRequest(text=LONG))
        while (await call.read()).WhichOneof("event") != "audio":
            await asyncio.sleep(0)
        assert any((await held(client, stack)).values())
        call.cancel()
        assert await freed_after(client, stack) < 0.1
