"""`python -m bench.hostile`: what hostile callers do to everybody else's time, beside the same run without them."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.hostile.attacks import ATTACKS, SHARES, Target
from bench.hostile.lateness import Lateness, lateness
from bench.programs import running
from bench.stack import START_SECONDS
from services.cli.model import BUNDLED
from services.cli.ports import held_ports
from services.cli.stack import LOOPBACK, Program, Stack, socket_directory

# Ordinary listeners, all the while.
_LISTENERS = 2
_TEXT = "This is what an ordinary caller wants to hear, again and again, and in time."
# Frames that an attacker's texts are spoken in: what counts is the text.
_FRAMES_PER_CHARACTER = 0.02
# Wait for what an attack left behind.
_REST_SECONDS = 2.0


@dataclass(frozen=True)
class Watched:
    """The gateway under attack, and the sleepers' records."""

    target: Target
    gateway: psutil.Process
    records: Path


@dataclass
class Phase:
    """`late`: of the sleepers, on the loop and in a thread; `memory`: the most, in MiB; `health`: the slowest answer of
    /healthz, in ms.
    """

    name: str
    calls: int
    seconds: float
    late: tuple[Lateness, Lateness]
    memory: float
    health: float


async def phase(name: str, watched: Watched, count: int) -> Phase:
    """Without an attacker where `name` is none: then `count` is in seconds."""
    async with ordinary(watched) as seen:
        began = time.time()
        if name in ATTACKS:
            calls = await ATTACKS[name](watched.target, count)
        else:
            calls = 0
            await asyncio.sleep(count)
        ended = time.time()
    await asyncio.sleep(_REST_SECONDS)
    late = tuple(lateness(watched.records / sleeper, began, ended) for sleeper in ("loop", "thread"))
    return Phase(name, calls, ended - began, (late[0], late[1]), max(seen.memory), max(seen.health))


class Seen:
    def __init__(self) -> None:
        self.memory: list[float] = []
        self.health: list[float] = [0.0]


@asynccontextmanager
async def ordinary(watched: Watched) -> AsyncIterator[Seen]:
    """What callers of good will meet meanwhile."""
    seen = Seen()
    async with httpx.AsyncClient(base_url=watched.target.url, timeout=120, trust_env=False) as client:

        async def listen() -> None:
            while True:
                await client.post("/v1/audio/speech", json={"input": _TEXT, "response_format": "pcm"})

        async def look() -> None:
            while True:
                began = time.perf_counter()
                await client.get("/healthz")
                seen.health.append(1000 * (time.perf_counter() - began))
                seen.memory.append(watched.gateway.memory_info().rss / 2**20)
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(each) for each in (look(), *(listen() for _ in range(_LISTENERS)))]
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def system(directory: Path, real: bool) -> Iterator[Watched]:
    """`real`: the real stages, else such as compute nothing."""
    with held_ports(LOOPBACK) as ports, socket_directory() as sockets:
        stack = Stack(BUNDLED, ports, sockets, database=f"sqlite:///{directory}/voices.db")
        *stages, gateway = stack.programs()
        flags = gateway.command[gateway.command.index("services.gateway") + 1 :]
        probed = (sys.executable, "-m", "bench.hostile.gateway", str(directory), *flags)
        if not real:
            stages = _instant(stack)
        gateway = Program(gateway.name, probed, gateway.defaults)
        with running([*stages, gateway], directory, START_SECONDS) as programs:
            programs.until_ready(f"{stack.url}/readyz")
            target = Target(stack.url, f"{LOOPBACK}:{ports.grpc}")
            yield Watched(target, psutil.Process(programs.pids["gateway"]), directory)


def _instant(stack: Stack) -> list[Program]:
    """One process for all stages."""
    socket = stack.socket("detokenizer")
    for name in ("tokenizer", "llm"):
        stack.socket(name).symlink_to(socket)
    flags = ("--model", str(BUNDLED), "--rate", "100000", "--frames-per-character", str(_FRAMES_PER_CHARACTER))
    return [Program("stages", (sys.executable, "-m", "bench.instant", *flags, "--socket", str(socket)))]


def table(phases: list[Phase]) -> Table:
    titles = ("", "calls", "seconds", "loop p99.9", "loop worst", "thread p99.9", "thread worst", "memory", "healthz")
    shown = Table(*titles, title="Sleepers of 5 ms in the gateway: ms late; memory MiB; slowest /healthz, ms")
    for each in phases:
        loop, thread = each.late
        figures = (loop.p999, loop.worst, thread.p999, thread.worst, each.memory, each.health)
        shown.add_row(each.name, str(each.calls), f"{each.seconds:.0f}", *(f"{figure:.1f}" for figure in figures))
    return shown


def main(
    texts: Annotated[int, typer.Option(help="Texts of the first attack; the others follow from it.")] = 1000,
    only: Annotated[str, typer.Option(help="Attacks whose name has this.")] = "",
    quiet_seconds: Annotated[int, typer.Option(help="Without an attacker.")] = 60,
    real: Annotated[bool, typer.Option("--real", help="With the real stages.")] = False,
) -> None:
    """The attackers give way to the gateway: their own computing shall not make it late."""
    with tempfile.TemporaryDirectory() as folder, system(Path(folder), real) as watched:
        os.nice(10)
        phases = [asyncio.run(phase("nobody", watched, quiet_seconds))]
        for name in (name for name in ATTACKS if only in name):
            phases.append(asyncio.run(phase(name, watched, max(1, round(texts * SHARES[name])))))
            Console(stderr=True).print(f"{name}: {phases[-1].calls} calls in {phases[-1].seconds:.0f} s")
    Console(width=140).print(table(phases))


if __name__ == "__main__":
    typer.run(main)
