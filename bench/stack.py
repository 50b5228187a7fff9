"""The four real processes on free ports, for benchmarks and tests: no terminal, logs in files."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.cli.model import BUNDLED
from services.cli.ports import Ports
from services.cli.stack import LOOPBACK, Program, Stack

START_SECONDS = 100


@dataclass(frozen=True)
class RunningStack:
    """`url` of the REST API, `grpc` address of the gateway; `ports` has the rest, all on 127.0.0.1; `pids` by stage."""

    url: str
    grpc: str
    ports: Ports
    model_id: str
    pids: Mapping[str, int]

    def metrics_url(self, stage: str) -> str:
        """Of tokenizer, llm or detokenizer; the gateway's are at `url`/metrics."""
        return f"http://{LOOPBACK}:{getattr(self.ports, f'{stage}_metrics')}/metrics"


@contextmanager
def running_stack(directory: Path, model: Path = BUNDLED, threads: int | None = 1) -> Iterator[RunningStack]:
    """Yields once all are ready; their data and logs go to `directory`. Raises RuntimeError with the logs otherwise."""
    ports = Ports.free()
    whole = Stack(model, ports, database=f"sqlite:///{directory}/voices.db", threads=threads)
    with ExitStack() as processes:
        running = {program.name: processes.enter_context(_started(program, directory)) for program in whole.programs()}
        processes.callback(_stop, running)
        _wait_until_ready(whole.url, running, directory)
        pids = {name: process.pid for name, process in running.items()}
        yield RunningStack(whole.url, f"{LOOPBACK}:{ports.grpc}", ports, model.name, pids)


def _started(program: Program, directory: Path) -> "subprocess.Popen[bytes]":
    with (directory / f"{program.name}.log").open("wb") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(program.command, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT)


def _stop(running: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    for process in running.values():
        process.terminate()
    for process in running.values():
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_ready(url: str, running: Mapping[str, "subprocess.Popen[bytes]"], directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=url, timeout=5) as client:
        while time.monotonic() < deadline and all(process.poll() is None for process in running.values()):
            with suppress(httpx.TransportError):
                if client.get("/readyz").is_success:
                    return
            time.sleep(0.1)
    logs = "\n".join(f"== {path.stem}\n{path.read_text()[-2000:]}" for path in sorted(directory.glob("*.log")))
    raise RuntimeError(f"the stack did not become ready:\n{logs}")
