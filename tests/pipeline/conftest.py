"""The real thing for the tests of this folder: all four processes with the bundled voice, started once."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.cli.model import BUNDLED
from services.cli.ports import Ports
from services.cli.stack import LOOPBACK, Program, Stack

START_SECONDS = 100


@dataclass(frozen=True)
class RunningStack:
    """`url` of the REST API, `grpc` address of the gateway; `ports` has the rest, all on 127.0.0.1."""

    url: str
    grpc: str
    ports: Ports
    model_id: str

    def metrics_url(self, stage: str) -> str:
        """Of tokenizer, llm or detokenizer; the gateway's are at `url`/metrics."""
        return f"http://{LOOPBACK}:{getattr(self.ports, f'{stage}_metrics')}/metrics"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    data = tmp_path_factory.mktemp("stack")
    ports = Ports.free()
    whole = Stack(BUNDLED, ports, database=f"sqlite:///{data}/voices.db", threads=1)
    with ExitStack() as processes:
        running = [processes.enter_context(_started(program, data)) for program in whole.programs()]
        processes.callback(_stop, running)
        _wait_until_ready(whole.url, running, data)
        yield RunningStack(whole.url, f"{LOOPBACK}:{ports.grpc}", ports, BUNDLED.name)


@pytest.fixture(scope="session")
def stack_url(stack: RunningStack) -> str:
    return stack.url


def _started(program: Program, data: Path) -> "subprocess.Popen[bytes]":
    """Its output goes to a file in `data`."""
    with (data / f"{program.name}.log").open("wb") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(program.command, cwd=data, env=environment, stdout=log, stderr=subprocess.STDOUT)


def _stop(running: list["subprocess.Popen[bytes]"]) -> None:
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_ready(url: str, running: list["subprocess.Popen[bytes]"], data: Path) -> None:
    gateway = running[-1]
    with httpx.Client(base_url=url, timeout=5) as client:
        for _ in range(START_SECONDS * 10):
            with suppress(httpx.TransportError):
                if client.get("/readyz").is_success:
                    return
            if any(process.poll() is not None for process in running):
                break
            with suppress(subprocess.TimeoutExpired):
                gateway.wait(timeout=0.1)
    logs = "\n".join(f"== {path.stem}\n{path.read_text()[-2000:]}" for path in sorted(data.glob("*.log")))
    pytest.fail(f"the stack did not become ready:\n{logs}", pytrace=False)
