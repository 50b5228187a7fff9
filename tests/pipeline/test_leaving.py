"""A listener who leaves frees what its request held in every stage. `python -m bench.leaving` says how soon."""

import grpc
import httpx
from prometheus_client import parser

from bench.leaving import HELD, LONG, freed_after, held, leave
from bench.stack import RunningStack
from voxline.v1 import text_to_speech_pb2, text_to_speech_pb2_grpc


async def test_leaving_over_http_frees_every_stage(stack: RunningStack) -> None:
    async with httpx.AsyncClient(timeout=120) as client:
        before = await cancelled(client, stack)
        await leave(client, stack)
        assert await cancelled(client, stack) > before


async def test_leaving_over_grpc_frees_every_stage(stack: RunningStack) -> None:
    async with grpc.aio.insecure_channel(stack.grpc) as channel, httpx.AsyncClient(timeout=120) as client:
        stub = text_to_speech_pb2_grpc.TextToSpeechServiceStub(channel)
        call = stub.Synthesize(text_to_speech_pb2.SynthesizeRequest(text=LONG))
        while not any((await held(client, stack)).values()):
            assert await call.read() is not grpc.aio.EOF, "no stage was ever seen at work"
        before = await cancelled(client, stack)
        call.cancel()
        await freed_after(client, stack)
        assert await cancelled(client, stack) > before


async def cancelled(client: httpx.AsyncClient, stack: RunningStack) -> float:
    """Calls of the stages that did not end by themselves."""
    texts = [(await client.get(stack.metrics_url(stage))).text for stage in HELD]
    samples = [s for text in texts for family in parser.text_string_to_metric_families(text) for s in family.samples]
    ended = [sample for sample in samples if sample.name == "voxline_rpc_requests_total"]
    return sum(sample.value for sample in ended if sample.labels["code"] == "CANCELLED")
