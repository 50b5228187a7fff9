"""Processes that a benchmark or a test starts: no terminal, logs in files, none left behind."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.cli.stack import Program

_POLL_SECONDS = 0.1
_END_SECONDS = 10


@dataclass(frozen=True)
class Programs:
    """They stand in `directory` and log there. What waits raises RuntimeError with the logs once one of them has ended,
    or `deadline` (monotonic) is over.
    """

    processes: Mapping[str, "subprocess.Popen[bytes]"]
    directory: Path
    deadline: float

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.processes.items()}

    def until_ready(self, url: str) -> None:
        """Waits until `url` is a success."""
        with httpx.Client(timeout=5, trust_env=False) as client:
            for _ in self._looks():
                with suppress(httpx.TransportError):
                    if client.get(url).is_success:
                        return

    def logged(self, name: str, pattern: str) -> str:
        """Waits until the log of `name` matches; the first group."""
        for _ in self._looks():
            if found := re.search(pattern, self._log(name)):
                return found.group(1)
        raise AssertionError  # For mypy: _looks ends only by its error.

    def _looks(self) -> Iterator[None]:
        while time.monotonic() < self.deadline and all(each.poll() is None for each in self.processes.values()):
            yield
            time.sleep(_POLL_SECONDS)
        logs = "\n".join(f"== {name}\n{self._log(name)[-2000:]}" for name in self.processes)
        raise RuntimeError(f"not ready in time, or one ended:\n{logs}")

    def _log(self, name: str) -> str:
        return _log_file(self.directory, name).read_text()


@contextmanager
def running(programs: Sequence[Program], directory: Path, seconds: float) -> Iterator[Programs]:
    """`seconds`: how long all that is waited for at the start may take."""
    with ExitStack() as stack:
        processes = {program.name: stack.enter_context(_started(program, directory)) for program in programs}
        stack.callback(_stop, processes)
        yield Programs(processes, directory, time.monotonic() + seconds)


def _log_file(directory: Path, name: str) -> Path:
    return directory / f"{name}.log"


def _started(program: Program, directory: Path) -> "subprocess.Popen[bytes]":
    with _log_file(directory, program.name).open("wb") as log:
        environment = {**program.defaults, **os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(program.command, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT)


def _stop(processes: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
