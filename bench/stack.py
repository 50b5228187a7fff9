"""The four real processes on free ports, for benchmarks and tests: no terminal, logs in files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.programs import running
from services.cli.model import BUNDLED
from services.cli.ports import Ports
from services.cli.stack import LOOPBACK, Stack

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
def running_stack(
    directory: Path, model: Path = BUNDLED, start_seconds: float = START_SECONDS
) -> Iterator[RunningStack]:
    """Yields once all are ready; their data and logs go to `directory`. Raises RuntimeError with the logs otherwise."""
    ports = Ports.free()
    whole = Stack(model, ports, database=f"sqlite:///{directory}/voices.db")
    with running(whole.programs(), directory, f"{whole.url}/readyz", start_seconds) as pids:
        yield RunningStack(whole.url, f"{LOOPBACK}:{ports.grpc}", ports, model.name, pids)
