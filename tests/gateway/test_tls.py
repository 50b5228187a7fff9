"""TLS on both public doors, and towards the stages."""

import asyncio
import ssl

import grpc
import httpx
import pytest

from services.gateway.process import GatewayProcess
from services.gateway.settings import GatewaySettings
from services.runtime.tls import ServerCertificate, ServerFiles
from tests.certificates import NAME, Authority
from voxline.v1 import text_to_speech_pb2 as pb
from voxline.v1 import text_to_speech_pb2_grpc as pb_grpc

from .conftest import PATIENCE, STAGES, StageDoubles

SPEECH = {"input": "Hello there.", "response_format": "pcm"}


@pytest.fixture
def ours(tmp_path):
    return Authority(tmp_path / "ours")


@pytest.fixture
async def doubles(sockets, ours):
    """They speak with none but who shows a certificate of ours."""
    files = ours.sign("stage")
    doubles = StageDoubles(sockets)
    doubles.credentials = ServerCertificate(ServerFiles(files.certificate, files.key, ours.file)).for_grpc()
    for name in STAGES:
        await doubles.start(name)
    yield doubles
    for name in list(doubles.servers):
        await doubles.stop(name)


@pytest.fixture
async def process(doubles, ours, tmp_path):
    public, client = ours.sign("public"), ours.sign("gateway")
    settings = GatewaySettings(
        port=0,
        http_port=0,
        metrics_port=0,
        tokenizer=doubles.targets.tokenizer,
        llm=doubles.targets.llm,
        detokenizer=doubles.targets.detokenizer,
        data_directory=tmp_path / "data",
        tls_cert=public.certificate,
        tls_key=public.key,
        stages_ca=ours.file,
        stages_cert=client.certificate,
        stages_key=client.key,
        stages_name=NAME,
        head_seconds=0.5,
    )
    process = GatewayProcess(settings)
    await process.start()
    yield process
    await process.stop()


def https(process, authority) -> httpx.AsyncClient:
    trusting = ssl.create_default_context(cafile=authority.file)
    url = f"https://localhost:{process.http.port}"
    return httpx.AsyncClient(base_url=url, verify=trusting, timeout=PATIENCE, trust_env=False)


async def until_ready(client) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)


async def test_both_doors_speak_with_who_trusts_us(process, ours):
    async with https(process, ours) as client:
        await until_ready(client)
        assert (await client.post("/v1/audio/speech", json=SPEECH)).status_code == 200
    trusting = grpc.ssl_channel_credentials(ours.file.read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{process.grpc.port}", trusting) as channel:
        stub = pb_grpc.TextToSpeechServiceStub(channel)
        assert [event async for event in stub.Synthesize(pb.SynthesizeRequest(text="Hi."))]


async def test_a_renewed_certificate_is_shown_to_who_comes_then(process, ours, tmp_path):
    theirs = Authority(tmp_path / "theirs")
    async with https(process, ours) as before, https(process, theirs) as after:
        await until_ready(before)
        with pytest.raises(httpx.ConnectError):
            await after.get("/healthz")
        theirs.sign("public", into=ours.file.parent)
        assert (await after.get("/healthz")).status_code == 200
        assert (await before.get("/healthz")).status_code == 200  # On the connection that it has.


async def test_plain_callers_and_half_a_handshake_are_let_go(process):
    for sent in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"", b"\x16\x03\x01"):
        reader, writer = await asyncio.open_connection("127.0.0.1", process.http.port)
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            assert b"200" not in await reader.read()
        writer.close()
