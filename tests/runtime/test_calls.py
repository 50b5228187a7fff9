"""Calls forward ids and deadlines, and never outlive their reader."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from services.runtime.calls import duplex, duplex_of_one, unary
from services.runtime.errors import DeadlineExceeded, InvalidRequest
from services.runtime.request_context import RequestContext, entered
from services.runtime.streams import collected
from voxline.stages.v1 import detokenizer_pb2, llm_pb2, model_pb2


async def requests(sizes: list[int]) -> AsyncGenerator:
    for size in sizes:
        request = detokenizer_pb2.DetokenizeRequest()
        request.frames.codes.values.extend([0] * size)
        yield request


async def test_duplex_echoes_in_order(stage) -> None:
    responses = await collected(duplex(stage.detokenize, requests([1, 2, 3])))
    assert [len(response.audio.samples) for response in responses] == [1, 2, 3]


async def test_duplex_raises_the_error_of_its_requests(stage) -> None:
    answered = asyncio.Event()

    async def broken() -> AsyncGenerator:
        yield detokenizer_pb2.DetokenizeRequest()
        await answered.wait()
        raise InvalidRequest("bad piece")

    with pytest.raises(InvalidRequest, match="bad piece"):
        async for _ in duplex(stage.detokenize, broken()):
            answered.set()
    await stage.until_closed()


async def test_duplex_raises_the_error_of_the_stage_and_closes_its_requests(stage) -> None:
    stage.script.error = InvalidRequest("wrong codes", field="text")
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator:
        try:
            while True:
                yield detokenizer_pb2.DetokenizeRequest()
                await asyncio.sleep(0)
        finally:
            closed.set()

    with pytest.raises(InvalidRequest, match="wrong codes"):
        await collected(duplex(stage.detokenize, endless()))
    assert closed.is_set()


async def test_a_reader_that_leaves_cancels_the_stream(stage) -> None:
    stage.script.good, stage.script.hang = 1, True
    stream = duplex_of_one(stage.generate, llm_pb2.GenerateRequest())
    await anext(stream)
    await stream.aclose()
    await stage.until_closed()


async def test_a_reader_that_leaves_cancels_a_duplex(stage) -> None:
    async def piece_then_wait() -> AsyncGenerator:
        yield detokenizer_pb2.DetokenizeRequest()
        await asyncio.Event().wait()

    stream = duplex(stage.detokenize, piece_then_wait())
    await anext(stream)
    await stream.aclose()
    await stage.until_closed()


async def test_ids_and_deadline_are_forwarded(stage) -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    with entered(RequestContext.from_metadata({"x-request-id": "mine", "traceparent": trace}, 1000.0)):
        await unary(stage.get_model, model_pb2.GetModelRequest())
    assert stage.script.metadata["x-request-id"] == "mine"
    assert stage.script.metadata["traceparent"] == trace
    # gRPC tells it by the wall clock as it stood when the process began; a machine may have set its clock since.
    assert 500 < stage.script.time_remaining < 1500


async def test_a_deadline_ends_a_hanging_stage(stage) -> None:
    stage.script.hang = True
    with entered(RequestContext.from_metadata({}, 0.05)), pytest.raises(DeadlineExceeded):
        await collected(duplex_of_one(stage.generate, llm_pb2.GenerateRequest()))
    await stage.until_closed()


def test_a_malformed_request_id_is_replaced() -> None:
    request = RequestContext.from_metadata({"x-request-id": "two\nlines", "traceparent": "junk"})
    assert request.request_id.startswith("req_")
    assert request.traceparent is None
