"""A listener who leaves frees what its request held in every stage. `python -m bench.leaving` says how soon."""

import grpc
import httpx

from bench.leaving import LONG, freed_after, held, leave
from bench.stack import RunningStack
from voxline.v1 import text_to_speech_pb2, text_to_speech_pb2_grpc


async def test_leaving_over_http_frees_every_stage(stack: RunningStack) -> None:
    async with httpx.AsyncClient(timeout=30) as client:
        await leave(client, stack)


async def test_leaving_over_grpc_frees_every_stage(stack: RunningStack) -> None:
    async with grpc.aio.insecure_channel(stack.grpc) as channel, httpx.AsyncClient(timeout=30) as client:
        stub = text_to_speech_pb2_grpc.TextToSpeechServiceStub(channel)
        call = stub.Synthesize(text_to_speech_pb2.SynthesizeRequest(text=LONG))
        while not any((await held(client, stack)).values()):
            assert await call.read() is not grpc.aio.EOF, "no stage was ever seen at work"
        call.cancel()
        await freed_after(client, stack)
