"""`python -m bench`: starts the system, loads it, and says how soon it sounds, how much it speaks and what it costs."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.machine import machine
from bench.points import Closed, Effort, Open, interleaved, measure
from bench.results import OURS, Results
from bench.stack import running_stack
from bench.system import System
from bench.tables import tables
from services.cli.model import BUNDLED

SAMPLE_RATE = 24_000
# Of a file or a pipe, which has no width of its own.
_COLUMNS = 140


@contextmanager
def ours(directory: Path, model: Path) -> Iterator[System]:
    with running_stack(directory, model) as stack:
        yield System(OURS, stack.url, stack.pids, SAMPLE_RATE)


def main(
    streams: Annotated[str, typer.Option(help="Listeners of each closed loop.")] = "1,2,4,8,16",
    load: Annotated[str, typer.Option(help="Loads of the open loops, as shares of the capacity.")] = ".5,.7,.9,1.1,1.5",
    replies: Annotated[int, typer.Option(help="Replies of each closed loop.")] = 48,
    seconds: Annotated[float, typer.Option(help="How long requests come in each open loop.")] = 20.0,
    repeats: Annotated[int, typer.Option(help="Runs of each load, of which the medians are shown.")] = 1,
    model: Annotated[Path, typer.Option(help="Folder of the checkpoint.")] = BUNDLED,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Starts the system, one thread a stage, and measures it."""
    results, effort = Results(machine()), Effort(replies, seconds)
    with tempfile.TemporaryDirectory() as directory, ours(Path(directory), model) as system:
        measure(system, Closed(1), Effort(4, 0))
        for count in _numbers(streams):
            point = Closed(int(count))
            results.add(point, interleaved([system], point, effort, repeats))
        for share in _numbers(load):
            results.add(at := Open(share, share * results.capacity), interleaved([system], at, effort, repeats))
    Console(width=None if sys.stdout.isatty() else _COLUMNS).print(tables(results))
    if json_file is not None:
        results.write(json_file)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",") if number]


if __name__ == "__main__":
    typer.run(main)
