"""The loads of a benchmark, and one measurement of a system under each."""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.arrivals import poisson
from bench.figures import Figures, figures, medians
from bench.load import Run, closed_loop, open_loop
from bench.system import System
from bench.texts import asks
from bench.usage import usage

_SEED = 1


@dataclass(frozen=True)
class Closed:
    """So many listeners, each of whom asks again when a reply ends."""

    streams: int

    def __str__(self) -> str:
        return f"{self.streams} streams" if self.streams > 1 else "1 stream"


@dataclass(frozen=True)
class Open:
    """`rate` requests a second on average, which is `share` of what the system can serve."""

    share: float
    rate: float

    def __str__(self) -> str:
        return f"{self.share:g} x capacity"


Point = Closed | Open


@dataclass(frozen=True)
class Effort:
    """`replies` of a closed loop, at least two for each stream; `seconds` of an open loop; `fixed_length`: see asks."""

    replies: int
    seconds: float
    fixed_length: bool = False


def measure(system: System, point: Point, effort: Effort) -> Figures:
    # Or else collections of all that is loaded here would count as waits for the system.
    gc.collect()
    gc.freeze()
    before = usage(system.pids)
    run = asyncio.run(_run(system, point, effort))
    return figures(run, before, usage(system.pids))


def interleaved(systems: Sequence[System], point: Point, effort: Effort, repeats: int) -> Mapping[str, Figures]:
    """Medians by system of `repeats` runs each, in turn, so that what the machine does meanwhile meets all alike."""
    runs: dict[str, list[Figures]] = {system.name: [] for system in systems}
    for _ in range(repeats):
        for system in systems:
            runs[system.name].append(measure(system, point, effort))
    return {name: medians(each) for name, each in runs.items()}


async def _run(system: System, point: Point, effort: Effort) -> Run:
    texts = asks(effort.fixed_length)
    match point:
        case Closed(streams):
            return await closed_loop(system, streams, max(effort.replies, 2 * streams), texts)
        case Open(rate=rate):
            return await open_loop(system, poisson(rate, effort.seconds, _SEED), texts)
