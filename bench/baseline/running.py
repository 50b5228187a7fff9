"""The baseline as a system to measure."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.programs import running
from bench.results import BASELINE
from bench.system import System
from services.cli.stack import LOOPBACK, Program
from services.codec.families.spark.config import SparkConfig

_ROOT = Path(__file__).parents[2]


@contextmanager
def baseline(directory: Path, model: Path, start_seconds: float) -> Iterator[System]:
    """Logs to `directory`. Raises RuntimeError when it does not start."""
    port = _free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = (sys.executable, "-m", "bench.baseline", "--model", str(model.resolve()), "--port", str(port))
    with running([Program(BASELINE, command)], directory, f"{url}/readyz", start_seconds) as pids:
        yield System(BASELINE, url, pids, SparkConfig.read(model).audio.sample_rate)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])
