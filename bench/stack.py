"""The four real processes beside whatever else runs, for benchmarks and tests: no terminal, logs in files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.programs import running
from services.cli.model import BUNDLED
from services.cli.ports import held_ports
from services.cli.stack import LOOPBACK, STAGES, Stack, socket_directory

START_SECONDS = 300


@dataclass(frozen=True)
class RunningStack:
    """`url` of the REST API, `grpc` address of the gateway; `metrics_ports` and `pids` by stage."""

    url: str
    grpc: str
    metrics_ports: Mapping[str, int]
    model_id: str
    pids: Mapping[str, int]

    def metrics_url(self, stage: str) -> str:
        """Of any of the four."""
        return f"http://{LOOPBACK}:{self.metrics_ports[stage]}/metrics"


@contextmanager
def running_stack(
    directory: Path, model: Path = BUNDLED, start_seconds: float = START_SECONDS
) -> Iterator[RunningStack]:
    """Yields once all are ready; their data and logs go to `directory`. Raises RuntimeError with the logs otherwise."""
    with held_ports(LOOPBACK) as ports, socket_directory() as sockets:
        whole = Stack(model, ports, sockets, database=f"sqlite:///{directory}/voices.db")
        with running(whole.programs(), directory, start_seconds) as programs:
            programs.until_ready(f"{whole.url}/readyz")
            metrics = {stage: int(programs.logged(stage, r'"metrics_port": (\d+)')) for stage in (*STAGES, "gateway")}
            yield RunningStack(whole.url, f"{LOOPBACK}:{ports.grpc}", metrics, model.name, programs.pids)
