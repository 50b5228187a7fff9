"""The whole process: both servers on one gateway, one drain."""

import asyncio
import contextlib
import logging
import signal
import sys

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.gateway.process import GatewayProcess
from services.gateway.settings import GatewaySettings
from services.runtime.settings import load_settings
from voxline.v1 import text_to_speech_pb2 as pb
from voxline.v1 import text_to_speech_pb2_grpc as pb_grpc

from .conftest import PATIENCE


@pytest.fixture
async def process(doubles, tmp_path):
    settings = GatewaySettings(
        port=0,
        http_port=0,
        metrics_port=0,
        tokenizer=doubles.targets.tokenizer,
        llm=doubles.targets.llm,
        detokenizer=doubles.targets.detokenizer,
        data_directory=tmp_path / "data",
        drain_seconds=0.0,
        grace_seconds=PATIENCE,
    )
    process = GatewayProcess(settings)
    await process.start()
    yield process
    if not process.gateway.ready() or "shutting down" not in process.gateway.ready()[0]:
        await process.stop()


@pytest.fixture
async def http(process):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.http.port}", timeout=PATIENCE) as http:
        async with asyncio.timeout(PATIENCE):
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0)
        yield http


SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "pcm"}


async def test_both_sides_speak_and_share_one_registry(process, http):
    over_http = await http.post("/v1/audio/speech", json=SPEECH)
    assert over_http.status_code == 200
    assert len(over_http.content) == pytest.approx(12 * 0.02 * 24000 * 2, abs=4)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc.port}") as channel:
        stub = pb_grpc.TextToSpeechServiceStub(channel)
        assert [event async for event in stub.Synthesize(pb.SynthesizeRequest(text="Hi."))]
    metrics = (await http.get(f"http://127.0.0.1:{process.grpc.metrics_port}/metrics")).text
    assert "voxline_gateway_http_requests_total" in metrics
    assert 'voxline_gateway_requests_total{outcome="ok"} 2.0' in metrics
    assert "voxline_rpc_requests_total" in metrics


def tracebacks(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info or "Traceback" in record.getMessage()]


async def _kill(doubles) -> None:
    for name in {"llm", "detokenizer"} & doubles.servers.keys():
        await doubles.stop(name)


async def _rest(process, http, doubles, leave: bool, stream_format: str) -> None:
    with contextlib.suppress(httpx.RemoteProtocolError):
        async with http.stream("POST", "/v1/audio/speech", json=SPEECH | {"stream_format": stream_format}) as reply:
            async for _ in reply.aiter_raw():
                if leave:
                    return
                await _kill(doubles)


async def _grpc(process, http, doubles, leave: bool, streaming: bool) -> None:
    async def requests():
        yield pb.StreamingSynthesizeRequest(config=pb.SynthesizeRequest())
        yield pb.StreamingSynthesizeRequest(text="Hello there.")

    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc.port}") as channel:
        stub = pb_grpc.TextToSpeechServiceStub(channel)
        whole = pb.SynthesizeRequest(text="Hello there.")
        call = stub.StreamingSynthesize(requests()) if streaming else stub.Synthesize(whole)
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for event in call:
                if event.audio and leave:
                    call.cancel()
                    return
                if event.audio:
                    await _kill(doubles)


@pytest.mark.parametrize("leave", [True, False], ids=["listener leaves", "stages die"])
@pytest.mark.parametrize(
    ("door", "how"),
    [(_rest, "audio"), (_rest, "sse"), (_grpc, False), (_grpc, True)],
    ids=["audio", "sse", "call", "text stream"],
)
async def test_a_broken_stream_is_no_traceback(process, http, doubles, caplog, door, how, leave):
    async def hold(place: int) -> None:
        if place == 5:
            await asyncio.Event().wait()

    doubles.llm.before = hold
    with caplog.at_level(logging.INFO):
        await door(process, http, doubles, leave, how)
        await doubles.llm.live.until(0)
        await doubles.detokenizer.live.until(0)
        await process.stop()
    assert not tracebacks(caplog)
    assert any(record.message in ("http", "rpc") for record in caplog.records)


async def test_a_reply_that_the_server_cuts_at_its_end_is_no_traceback(process, http, doubles, caplog):
    async def hold(place: int) -> None:
        await asyncio.Event().wait()

    doubles.llm.before = hold
    asking = asyncio.create_task(http.post("/v1/audio/speech", json=SPEECH))
    await doubles.llm.live.until(1)
    await process.stop()
    with pytest.raises(httpx.RemoteProtocolError):
        await asking
    assert not tracebacks(caplog)


PUBLIC = ("", "readiness", "voxline.v1.TextToSpeechService", "voxline.v1.ModelService")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_grpc_is_ready_when_the_gateway_is(process, http, doubles, stage):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc.port}") as channel, asyncio.timeout(PATIENCE):
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in PUBLIC]

        async def until(status: int) -> None:
            for watch in watches:
                while (await watch.read()).status != status:
                    pass

        await until(SERVING)
        await doubles.stop(stage)
        await until(NOT_SERVING)
        assert process.gateway.ready()
        alive = await stub.Check(health_pb2.HealthCheckRequest(service="liveness"))
        assert alive.status == SERVING
        await doubles.start(stage)
        await until(SERVING)


async def test_grpc_is_not_ready_before_the_stages_are(tmp_path):
    settings = GatewaySettings(port=0, http_port=0, metrics_port=0, data_directory=tmp_path, llm="127.0.0.1:1")
    process = GatewayProcess(settings)
    await process.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name, status in {**dict.fromkeys(PUBLIC, NOT_SERVING), "liveness": SERVING}.items():
            assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == status
    await process.stop()


async def test_drain_turns_away_first_and_lets_running_replies_end(process, http, doubles):
    async def hold(place: int) -> None:
        if place == 8:
            await finish.wait()

    finish = asyncio.Event()
    doubles.llm.before = hold
    running = asyncio.create_task(http.post("/v1/audio/speech", json=SPEECH | {"voice": "male"}))
    await doubles.detokenizer.live.until(1)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="readiness"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        draining = asyncio.create_task(process.drain())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
    assert process.gateway.ready() == ("The gateway is shutting down.",)
    finish.set()
    reply = await running
    assert len(reply.content) == pytest.approx(12 * 0.02 * 24000 * 2, abs=4)
    await draining


async def test_taken_http_port_is_an_error(process, tmp_path):
    settings = GatewaySettings(port=0, metrics_port=0, http_port=process.http.port, data_directory=tmp_path / "other")
    second = GatewayProcess(settings)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    await second.grpc.stop()
    await second.set_serving(False)
    await second.gateway.stop()


async def test_process_ends_well_on_sigterm_though_no_stage_was_ever_up(tmp_path):
    flags = [
        "--port",
        "0",
        "--http-port",
        "0",
        "--metrics-port",
        "0",
        "--data-directory",
        str(tmp_path),
        "--drain-seconds",
        "0",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", *flags, "--llm", "127.0.0.1:1", stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        while b'"serving"' not in await process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors


def test_settings_come_from_flags_and_name_the_database():
    settings = load_settings(GatewaySettings, ["--llm", "llm:1", "--look-ahead-frames", "-1"], "gateway")
    assert (settings.llm, settings.look_ahead_frames) == ("llm:1", -1)
    assert settings.database_url == "sqlite:///var/gateway/voices.db"
    assert GatewaySettings(database="postgresql://a/b").database_url == "postgresql://a/b"
