"""`python -m bench`: starts the system, loads it, and says how soon it sounds, how much it speaks and what it costs."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.benchmark import Benchmark, Loads
from bench.floor.floors import floors
from bench.plot import plot
from bench.points import Effort
from bench.shape.published import SHAPES
from bench.tables import tables
from services.cli.model import BUNDLED

# Of a file or a pipe, which has no width of its own.
_COLUMNS = 140
# That the LLM draws for each sequence when it is measured alone.
_TOKENS = 200


def main(
    streams: Annotated[str, typer.Option(help="Listeners of each closed loop.")] = "1,2,4,8,16",
    load: Annotated[str, typer.Option(help="Loads of the open loops, as shares of the capacity.")] = ".5,.7,.9,1.1,1.5",
    replies: Annotated[int, typer.Option(help="Replies of each closed loop.")] = 48,
    seconds: Annotated[float, typer.Option(help="How long requests come in each open loop.")] = 20.0,
    repeats: Annotated[int, typer.Option(help="Runs of each load, of which the medians are shown.")] = 1,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Also what others serve, in turn with ours, and the ratios to it.")
    ] = False,
    model: Annotated[Path, typer.Option(help="Folder of the checkpoint.")] = BUNDLED,
    shape: Annotated[
        str, typer.Option(help=f"Random weights of these widths instead of a model: {', '.join(SHAPES)}.")
    ] = "",
    cache: Annotated[
        Path, typer.Option(resolve_path=True, help="Where random checkpoints are kept: 2 GB each.")
    ] = Path("var/bench"),
    floor: Annotated[bool, typer.Option(help="Also measure what the machine could do at best.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
    picture: Annotated[Path | None, typer.Option("--plot", help="Also draw them here; the ending says how.")] = None,
) -> None:
    """Starts the system, one thread a stage, and measures it.

    The capacity is the best rate of replies of the closed loops. Only they are run on the baseline. A model of random
    weights draws three tokens for each character of its text, 50 a second: it would never stop by itself.
    """
    if shape:
        # Slow to import.
        from bench.shape.checkpoint import made

        model = made(SHAPES[shape], cache)
    loads = Loads(tuple(map(int, _numbers(streams))), _numbers(load))
    with tempfile.TemporaryDirectory() as directory:
        benchmark = Benchmark(model, Path(directory), Effort(replies, seconds, bool(shape)), repeats, bool(shape))
        results = benchmark.run(loads, baseline)
    if floor:
        results.floors = floors(model, _TOKENS, results.busiest[1].cpu)
    Console(width=None if sys.stdout.isatty() else _COLUMNS).print(tables(results))
    if json_file is not None:
        results.write(json_file)
    if picture is not None:
        plot(results, picture)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(",") if number)


if __name__ == "__main__":
    typer.run(main)
