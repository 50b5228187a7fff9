"""Processes that a benchmark or a test starts: no terminal, logs in files, none left behind."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from services.cli.stack import Program

Processes = Mapping[str, "subprocess.Popen[bytes]"]

_POLL_SECONDS = 0.1
_END_SECONDS = 10


@contextmanager
def running(programs: Sequence[Program], directory: Path, url: str, seconds: float) -> Iterator[dict[str, int]]:
    """Pids by name, once `url` is a success. They stand in `directory` and log there.

    Raises RuntimeError with the logs when they are not ready in `seconds`.
    """
    with ExitStack() as stack:
        processes = {program.name: stack.enter_context(_started(program, directory)) for program in programs}
        stack.callback(_stop, processes)
        _wait_until_ready(url, processes, directory, seconds)
        yield {name: process.pid for name, process in processes.items()}


def _started(program: Program, directory: Path) -> "subprocess.Popen[bytes]":
    with (directory / f"{program.name}.log").open("wb") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(program.command, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT)


def _stop(processes: Processes) -> None:
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_ready(url: str, processes: Processes, directory: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline and all(process.poll() is None for process in processes.values()):
            with suppress(httpx.TransportError):
                if client.get(url).is_success:
                    return
            time.sleep(_POLL_SECONDS)
    logs = "\n".join(f"== {name}\n{(directory / f'{name}.log').read_text()[-2000:]}" for name in processes)
    raise RuntimeError(f"not ready in {seconds:.0f} s, or one ended:\n{logs}")
