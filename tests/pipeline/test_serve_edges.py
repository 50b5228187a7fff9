"""What `voxline serve` meets on other people's machines: IPv6, proxies, ports that are taken."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

VOXLINE = (sys.executable, "-m", "services.cli")


@contextmanager
def served(tmp_path: Path, *options: str, **environment: str) -> Iterator[tuple[str, list[str]]]:
    """`voxline serve --any-ports` until it is ready: its URL, and the lines that it said."""
    import os

    command = [*VOXLINE, "serve", "--any-ports", "--threads", "1", *options]
    store = {"VOXLINE_GATEWAY_DATABASE": f"sqlite:///{tmp_path}/voices.db"}
    environment = {**os.environ, **store, **environment}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if ready := re.search(r"ready: (\S+) \(REST\)", line):
                yield ready[1], lines
                break
        else:
            pytest.fail("".join(lines))
    finally:
        process.send_signal(signal.SIGINT)
        lines.append(process.communicate(timeout=60)[0])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("host", "asked"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("::", "[::1]"), ("::", "127.0.0.1")]
)
def test_addresses_of_ipv6(tmp_path: Path, host: str, asked: str) -> None:
    with served(tmp_path, "--host", host) as (url, lines):
        assert re.fullmatch(r"http://\[::1\]:\d+", url)
        assert re.search(r"\[::1?\]:\d+ \(gRPC\)", lines[-1])
        port = url.rpartition(":")[2]
        reply = httpx.post(
            f"http://{asked}:{port}/v1/audio/speech", json={"input": "Hello."}, timeout=120, trust_env=False
        )
        assert reply.status_code == 200


@pytest.mark.timeout(600)
def test_no_proxy_is_asked_and_nothing_is_warned_of(tmp_path: Path) -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "grpc_proxy"), "http://127.0.0.1:9")
    kubernetes = {"VOXLINE_LLM_PORT": "tcp://10.0.0.1:50051", "VOXLINE_LLM_SERVICE_HOST": "10.0.0.1"}
    with served(tmp_path, **proxies, **kubernetes) as (url, lines):
        reply = httpx.post(f"{url}/v1/audio/speech", json={"input": "Hello."}, timeout=120, trust_env=False)
        assert reply.status_code == 200
    said = "".join(lines)
    assert "WARNING" not in said
    assert "ERROR" not in said


@pytest.mark.parametrize("flags", [("--port", "{}"), ("--metrics-port", "{}"), ("--http-port", "{}")], ids=str)
def test_a_port_that_is_taken_is_named_in_one_line(tmp_path: Path, flags: tuple[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = {"--port": "0", "--metrics-port": "0", "--http-port": "0", flags[0]: port}
        stages = [
            part for stage in ("tokenizer", "llm", "detokenizer") for part in (f"--{stage}", f"unix:{tmp_path}/x")
        ]
        database = ("--database", f"sqlite:///{tmp_path}/voices.db")
        command = [sys.executable, "-m", "services.gateway", *stages, *database]
        command += [part for pair in given.items() for part in pair]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "CRITICAL" in line]
    assert port in line
    assert "Traceback" not in done.stderr
