"""The baseline as a system to measure."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.programs import running
from bench.results import BASELINE
from bench.system import System
from services.cli.stack import Program
from services.codec.families.spark.config import SparkConfig

_ROOT = Path(__file__).parents[2]


@contextmanager
def baseline(directory: Path, model: Path, start_seconds: float) -> Iterator[System]:
    """Logs to `directory`. Raises RuntimeError when it does not start."""
    command = (sys.executable, "-m", "bench.baseline", "--model", str(model.resolve()))
    with running([Program(BASELINE, command)], directory, start_seconds) as programs:
        url = programs.logged(BASELINE, r"running on (http://[\d.:]+)")
        yield System(BASELINE, url, programs.pids, SparkConfig.read(model).audio.sample_rate)
