"""Health, reflection, metrics and drain of a stage."""

import asyncio
import gc
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from services.runtime.calls import duplex_of_one, unary
from services.runtime.channel import open_channel
from services.runtime.errors import InvalidRequest
from services.runtime.server import LIVENESS, READINESS, StageServer, run_until_stopped
from services.runtime.settings import ServerSettings
from services.runtime.streams import collected
from voxline.stages.v1 import llm_pb2, llm_pb2_grpc, model_pb2

from .conftest import PATIENCE, Script, services

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def health(stage, name: str) -> int:
    stub = health_pb2_grpc.HealthStub(stage.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


@pytest.mark.parametrize(
    "name", ["", "voxline.stages.v1.LlmService", "voxline.stages.v1.ModelService", LIVENESS, READINESS]
)
async def test_each_service_has_its_health(stage, name: str) -> None:
    assert await health(stage, name) == SERVING


async def test_an_unknown_health_service_is_not_found(stage) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health(stage, "voxline.stages.v1.Nothing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_only_readiness_falls_when_a_stage_stops_serving(stage) -> None:
    await stage.server.set_serving(False)
    assert await health(stage, LIVENESS) == SERVING
    for name in ("", READINESS, "voxline.stages.v1.LlmService"):
        assert await health(stage, name) == NOT_SERVING


async def test_reflection_lists_the_services(stage) -> None:
    async def ask():
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    stub = reflection_pb2_grpc.ServerReflectionStub(stage.channel)
    async for answer in stub.ServerReflectionInfo(ask()):
        names = {service.name for service in answer.list_services_response.service}
    assert {"voxline.stages.v1.LlmService", "grpc.health.v1.Health"} <= names


async def test_metrics_count_each_outcome(stage) -> None:
    await unary(stage.get_model, model_pb2.GetModelRequest())
    stage.script.error = InvalidRequest("no", field="audio")
    with pytest.raises(InvalidRequest):
        await unary(stage.get_model, model_pb2.GetModelRequest())
    url = f"http://127.0.0.1:{stage.server.metrics_port}/metrics"
    text = (await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())).decode()
    method = 'method="/voxline.stages.v1.ModelService/GetModel"'
    assert f'voxline_rpc_requests_total{{code="OK",{method}}} 1.0' in text
    assert f'voxline_rpc_requests_total{{code="INVALID_ARGUMENT",{method}}} 1.0' in text
    assert f"voxline_rpc_in_flight{{{method}}} 0.0" in text
    assert f"voxline_rpc_seconds_count{{{method}}} 2.0" in text


async def test_a_drain_lets_a_running_call_end(stage) -> None:
    stage.script.good = 200
    stream = duplex_of_one(stage.generate, llm_pb2.GenerateRequest())
    received = [await anext(stream)]
    drained = asyncio.create_task(stage.server.drain())
    received += [response async for response in stream]
    await drained
    assert len(received) == 200


async def test_age_of_a_connection_turns_new_calls_away_and_cuts_none_that_runs() -> None:
    """Each turn of the channel is a connection that has reached its age; the stream stays on the first."""
    script = Script(good=1, hang=True)
    settings = ServerSettings(max_connection_age_seconds=0.1, grace_seconds=0.0)
    server = StageServer(services(script), settings, CollectorRegistry())
    await server.start()
    async with asyncio.timeout(PATIENCE), open_channel(f"127.0.0.1:{server.port}") as channel:
        stream = duplex_of_one(llm_pb2_grpc.LlmServiceStub(channel).Generate, llm_pb2.GenerateRequest())
        await anext(stream)
        for _ in range(10):
            while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                await channel.wait_for_state_change(state)
            await channel.wait_for_state_change(state)
        script.released.set()
        assert await collected(stream) == []
    await server.stop()


async def test_no_collection_goes_through_what_was_there_before_serving() -> None:
    server = StageServer([], ServerSettings(), CollectorRegistry())
    died = asyncio.get_running_loop().create_future()
    died.set_exception(RuntimeError("over"))
    before = len(gc.get_objects())
    try:
        assert await run_until_stopped(server, died) == 1
        assert len(gc.get_objects()) < before / 10
    finally:
        gc.unfreeze()


async def test_a_port_that_is_taken_is_an_error(stage) -> None:
    other = StageServer([], ServerSettings(port=stage.server.port), CollectorRegistry())
    with pytest.raises(RuntimeError):
        await other.start()
