"""`python -m bench.after_kill`: first audio right after a replica was killed, beside the usual first sound."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.replicas import Replicas, running_gateway, running_replicas
from services.contract.sampling import Sampling
from services.gateway.gateway import Gateway
from services.gateway.request import NamedVoice, Output, SpeechRequest, Turn

_TEXT = "The river runs past the old mill, and the road follows it to the sea."
_USUAL, _KILLS = 30, 10
# A replica that is back is found so soon: a channel tries again every .3 s.
_FOUND_SECONDS = 1.0


async def first_audio(gateway: Gateway, seed: int) -> float:
    """Seconds from the request to its first audio; the rest is left."""
    begun = time.monotonic()
    reply = await gateway.speak(SpeechRequest((Turn(_TEXT, NamedVoice("")),), Sampling(seed=seed), Output("pcm")))
    async with aclosing(reply.chunks) as chunks:
        await anext(chunks)
        return time.monotonic() - begun


async def longest_gap(gateway: Gateway, seed: int, kill: asyncio.Event) -> float:
    """Seconds between two pieces of a reply in whose midst a replica is killed; it is told when to."""
    reply = await gateway.speak(SpeechRequest((Turn(_TEXT, NamedVoice("")),), Sampling(seed=seed), Output("pcm")))
    last, longest = time.monotonic(), 0.0
    async with aclosing(reply.chunks) as chunks:
        async for _ in chunks:
            kill.set()
            now = time.monotonic()
            last, longest = now, max(longest, now - last)
    return longest


async def after_kills(gateway: Gateway, replicas: Replicas, stage: str) -> tuple[list[float], list[float]]:
    """First audio of requests right after a kill, and the longest gap of those that were under way."""
    after, gaps = [], []
    for turn in range(_KILLS):
        process = replicas.processes[stage][turn % 2]
        kill = asyncio.Event()
        under_way = [asyncio.create_task(longest_gap(gateway, seed, kill)) for seed in (turn, turn + 1)]
        await kill.wait()
        await process.kill()
        after.append(await first_audio(gateway, turn))
        gaps += await asyncio.gather(*under_way)
        await process.start()
        await asyncio.sleep(_FOUND_SECONDS)
    return after, gaps


async def measured(directory: Path) -> Mapping[str, list[float]]:
    async with (
        running_replicas({"tokenizer": 1, "llm": 2, "detokenizer": 2}) as replicas,
        running_gateway(replicas.targets, directory) as gateway,
    ):
        figures = {"usual": [await first_audio(gateway, seed) for seed in range(_USUAL)][5:]}
        for stage in ("llm", "detokenizer"):
            figures[f"after a kill of the {stage}"], figures[f"longest gap, {stage}"] = await after_kills(
                gateway, replicas, stage
            )
        return figures


def main() -> None:
    with TemporaryDirectory() as directory:
        figures = asyncio.run(measured(Path(directory)))
    usual = median(figures["usual"])
    for name, seconds in figures.items():
        middle, worst = median(seconds), max(seconds)
        print(f"{name:30} {middle:.3f} s, worst {worst:.3f} s, {middle / usual:.2f} times the usual first sound")


if __name__ == "__main__":
    main()
