"""Where a channel leads, and that it leads there directly."""

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from services.cli.stack import socket_directory
from services.runtime.channel import open_channel
from services.runtime.server import StageServer
from services.runtime.settings import ServerSettings

# Nobody listens there.
PROXY = "http://127.0.0.1:1"


async def is_serving(target: str) -> bool:
    async with open_channel(target) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
async def test_stage_on_a_unix_socket_is_reached(form: str) -> None:
    with socket_directory() as directory:
        server = StageServer([], ServerSettings(socket=directory / "stage"), CollectorRegistry())
        await server.start()
        assert await is_serving(form.format(directory / "stage"))
        assert server.metrics_port
        await server.stop()


@pytest.mark.parametrize("variable", ["grpc_proxy", "http_proxy", "https_proxy"])
async def test_proxy_of_the_environment_is_not_asked(stage, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, PROXY)
    assert await is_serving(f"127.0.0.1:{stage.server.port}")


async def test_socket_that_cannot_be_made_is_an_error() -> None:
    with socket_directory() as directory:
        server = StageServer([], ServerSettings(socket=directory / "none" / "stage"), CollectorRegistry())
        with pytest.raises(RuntimeError):
            await server.start()
