"""A closed loop of listeners on the whole running system: how soon it sounds, how much it speaks, what it costs.

Each listener asks for PCM, plays it in real time from its first byte, and asks again when the reply ends. Underrun is
how long its player would have starved at worst.
"""

import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.stack import RunningStack, running_stack
from services.cli.model import BUNDLED

SAMPLE_RATE = 24_000
TEXTS = (Path(__file__).parent / "speech/sentences.txt").read_text().splitlines()


@dataclass(frozen=True)
class Heard:
    """One reply. Seconds."""

    first_sound: float
    audio: float
    underrun: float


@dataclass(frozen=True)
class Figures:
    """One number of listeners. first_sound: median and 95th percentile; underrun: the worst; cpu by stage."""

    streams: int
    replies: int
    first_sound_p50: float
    first_sound_p95: float
    audio_seconds_per_second: float
    cpu_seconds_per_audio_second: Mapping[str, float]
    worst_underrun: float

    @property
    def cpu(self) -> float:
        return sum(self.cpu_seconds_per_audio_second.values())


async def listen(client: httpx.AsyncClient, text: str, seed: int) -> Heard:
    body = {"input": text, "voice": "alloy", "response_format": "pcm", "seed": seed}
    asked = time.perf_counter()
    first, received, underrun = 0.0, 0.0, 0.0
    async with client.stream("POST", "/v1/audio/speech", json=body) as reply:
        reply.raise_for_status()
        async for chunk in reply.aiter_raw():
            now = time.perf_counter()
            first = first or now
            underrun = max(underrun, now - first - received)
            received += len(chunk) / 2 / SAMPLE_RATE
    return Heard(first - asked, received, underrun)


async def closed_loop(url: str, streams: int, replies: int) -> tuple[list[Heard], float]:
    """`replies` replies shared by `streams` listeners, and the wall time that they took."""
    work: Iterator[tuple[int, str]] = enumerate(itertools.islice(itertools.cycle(TEXTS), replies))
    heard: list[Heard] = []

    async def listener(client: httpx.AsyncClient) -> None:
        for seed, text in work:
            heard.append(await listen(client, text, seed))

    async with httpx.AsyncClient(base_url=url, timeout=120, limits=httpx.Limits(max_connections=None)) as client:
        begun = time.perf_counter()
        await asyncio.gather(*(listener(client) for _ in range(streams)))
        return heard, time.perf_counter() - begun


def measure(stack: RunningStack, streams: int, replies: int) -> Figures:
    before = cpu_seconds(stack.pids)
    heard, wall = asyncio.run(closed_loop(stack.url, streams, replies))
    after = cpu_seconds(stack.pids)
    audio = sum(reply.audio for reply in heard)
    first = sorted(reply.first_sound for reply in heard)
    return Figures(
        streams=streams,
        replies=len(heard),
        first_sound_p50=statistics.median(first),
        first_sound_p95=first[round(0.95 * (len(first) - 1))],
        audio_seconds_per_second=audio / wall,
        cpu_seconds_per_audio_second={name: (after[name] - before[name]) / audio for name in before},
        worst_underrun=max(reply.underrun for reply in heard),
    )


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    times = {name: psutil.Process(pid).cpu_times() for name, pid in pids.items()}
    return {name: used.user + used.system for name, used in times.items()}


def table(figures: Sequence[Figures]) -> Table:
    stages = list(figures[0].cpu_seconds_per_audio_second)
    made = Table(title="closed loop; seconds, audio-seconds per second, CPU-seconds per audio-second")
    for heading in ("streams", "first sound p50", "p95", "audio s/s", "worst underrun", "CPU", *stages):
        made.add_column(heading, justify="right")
    for row in figures:
        shares = [f"{row.cpu_seconds_per_audio_second[stage]:.3f}" for stage in stages]
        times = [f"{row.first_sound_p50:.3f}", f"{row.first_sound_p95:.3f}", f"{row.audio_seconds_per_second:.2f}"]
        made.add_row(str(row.streams), *times, f"{row.worst_underrun:.3f}", f"{row.cpu:.3f}", *shares)
    return made


def main(
    streams: Annotated[list[int], typer.Option(help="Listeners at a time; may be given again.")] = [1, 4, 8],  # noqa: B006
    replies: Annotated[int, typer.Option(help="Replies for each number of listeners.")] = 48,
    model: Annotated[Path, typer.Option(help="Folder of the checkpoint.")] = BUNDLED,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Starts the stack, one thread a stage, and measures it."""
    with tempfile.TemporaryDirectory() as directory, running_stack(Path(directory), model) as stack:
        measure(stack, 1, 4)
        figures = [measure(stack, count, replies) for count in track(streams, "measuring")]
    Console().print(table(figures))
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in figures], indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
