"""TLS of a stage: who may call it, whom it is taken for, and files that are renewed under it."""

from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from services.runtime.calls import unary
from services.runtime.channel import open_channel
from services.runtime.errors import StageUnavailable
from services.runtime.server import StageServer
from services.runtime.settings import ServerSettings, load_settings
from services.runtime.tls import ChannelFiles
from tests.certificates import NAME, Authority
from voxline.stages.v1 import model_pb2, model_pb2_grpc

from .conftest import Script, services


@pytest.fixture
def ours(tmp_path):
    return Authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path):
    return Authority(tmp_path / "theirs")


@pytest.fixture
async def server(ours):
    """Wants certificates of ours."""
    files = ours.sign("server")
    settings = ServerSettings(tls_cert=files.certificate, tls_key=files.key, tls_client_ca=ours.file, health_port=0)
    server = StageServer(services(Script()), settings, CollectorRegistry())
    await server.start()
    yield server
    await server.stop()


def shown(authority, client, name: str = NAME) -> ChannelFiles:
    """For who trusts `authority` and has a certificate of `client`."""
    files = client.sign("client")
    return ChannelFiles(authority.file, files.certificate, files.key, name)


@asynccontextmanager
async def channel(server, tls):
    async with open_channel(f"127.0.0.1:{server.port}", tls) as channel:
        yield channel


async def call(channel) -> str:
    stub = model_pb2_grpc.ModelServiceStub(channel)
    return (await unary(stub.GetModel, model_pb2.GetModelRequest())).id


async def test_who_is_known_is_served(server, ours):
    async with channel(server, shown(ours, ours)) as opened:
        assert await call(opened) == "small"


@pytest.mark.parametrize("who", ["plain", "nameless", "of another authority", "trusts another", "another name"])
async def test_nobody_else_is(server, ours, theirs, who):
    tls = {
        "plain": None,
        "nameless": ChannelFiles(ours.file, name=NAME),
        "of another authority": shown(ours, theirs),
        "trusts another": shown(theirs, ours),
        "another name": shown(ours, ours, "other.voxline.test"),
    }[who]
    async with channel(server, tls) as opened:
        with pytest.raises(StageUnavailable):
            await call(opened)


async def test_renewed_files_are_for_who_comes_then(server, ours, theirs):
    async with channel(server, shown(ours, ours)) as before:
        assert await call(before) == "small"
        theirs.sign("server", into=ours.file.parent)
        async with channel(server, shown(theirs, ours)) as after:
            assert await call(after) == "small"
        assert await call(before) == "small"
    async with channel(server, shown(ours, ours)) as late:
        with pytest.raises(StageUnavailable):
            await call(late)


async def test_half_a_pair_leaves_the_old_one_in_use(server, ours, theirs, tmp_path):
    (tmp_path / "new").mkdir()
    new = theirs.sign("server", into=tmp_path / "new")
    used = ours.file.parent / "server"
    new.key.replace(used.with_suffix(".key"))
    async with channel(server, shown(ours, ours)) as opened:
        assert await call(opened) == "small"
    new.certificate.replace(used.with_suffix(".pem"))
    async with channel(server, shown(theirs, ours)) as opened:
        assert await call(opened) == "small"


async def test_probes_ask_health_without_tls(server):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.health_port}") as plain:
        stub = health_pb2_grpc.HealthStub(plain)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="readiness"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await model_pb2_grpc.ModelServiceStub(plain).GetModel(model_pb2.GetModelRequest())
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("flags", [["--tls-cert", "a"], ["--tls-key", "a"], ["--tls-client-ca", "a"]], ids=str)
def test_half_of_the_settings_is_an_error(flags, capsys):
    with pytest.raises(SystemExit, match="tls_cert"):
        load_settings(ServerSettings, flags, "stage")


async def test_files_that_are_no_good_keep_it_from_starting(ours, tmp_path):
    (tmp_path / "empty").touch()
    settings = ServerSettings(tls_cert=tmp_path / "empty", tls_key=tmp_path / "empty")
    server = StageServer([], settings, CollectorRegistry())
    with pytest.raises(OSError, match="PEM"):
        await server.start()
