"""`python -m bench.after_kill`: first audio of who had asked when a replica was killed, and of who asks right then."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.replicas import ReplicaProcess, Replicas, running_gateway, running_replicas
from services.contract.sampling import Sampling
from services.gateway.gateway import Gateway
from services.gateway.request import NamedVoice, Output, SpeechRequest, Turn

_TEXT = "The river runs past the old mill, and the road follows it to the sea."
_WARM_UPS, _KILLS, _MOST_KILLS = 6, 10, 40
# A replica that is back is found so soon: a channel tries again every .3 s.
_FOUND_SECONDS = 1.0
# When a kill comes, in first sounds since the request.
_EARLIEST, _LATEST = 0.1, 0.8

# Seconds by what they are.
Figures = Mapping[str, Sequence[float]]


class AfterKill:
    """All speak in pairs, one at each replica. The usual is measured before each kill, at the same replicas."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._seeds = count()
        self.usual: list[float] = []

    async def first_audio(self) -> tuple[float, bool]:
        """Seconds from a request to its first audio, and whether a lost replica was replaced for it; all is heard."""
        sampling = Sampling(seed=next(self._seeds))
        begun = time.monotonic()
        reply = await self._gateway.speak(SpeechRequest((Turn(_TEXT, NamedVoice("")),), sampling, Output("pcm")))
        async with aclosing(reply.chunks) as chunks:
            await anext(chunks)
            seconds, replaced = time.monotonic() - begun, reply.usage.retries > 0
            async for _ in chunks:
                pass
        return seconds, replaced

    async def warm_up(self) -> None:
        for _ in range(_WARM_UPS):
            await asyncio.gather(self.first_audio(), self.first_audio())

    async def speak(self) -> None:
        pair = await asyncio.gather(self.first_audio(), self.first_audio())
        self.usual += [seconds for seconds, _ in pair]

    async def under_way(self, process: ReplicaProcess) -> Figures:
        """Of those of a pair who had heard nothing yet and lost their replica."""
        await self.speak()
        begun = time.monotonic()
        asked = [asyncio.create_task(self.first_audio()) for _ in range(2)]
        await asyncio.sleep(random.uniform(_EARLIEST, _LATEST) * median(self.usual))
        before = time.monotonic() - begun
        await process.kill()
        gone = time.monotonic() - begun - before
        lost = [seconds for seconds, replaced in await asyncio.gather(*asked) if replaced]
        since = [seconds - before for seconds in lost]
        return {"under way, since the request": lost, "under way, since the kill": since, "until it is gone": [gone]}

    async def right_then(self, process: ReplicaProcess) -> Figures:
        """Of a pair that asks once the replica is gone."""
        await self.speak()
        await process.kill()
        pair = await asyncio.gather(self.first_audio(), self.first_audio())
        return {"right then": [seconds for seconds, _ in pair]}

    async def after_kills(self, replicas: Replicas, stage: str) -> Figures:
        figures: dict[str, list[float]] = {}
        for measure, name in ((self.under_way, "under way, since the kill"), (self.right_then, "right then")):
            for turn in range(_MOST_KILLS):
                process = replicas.processes[stage][turn % 2]
                for kind, seconds in (await measure(process)).items():
                    figures.setdefault(f"{stage}: {kind}", []).extend(seconds)
                await process.start()
                await asyncio.sleep(_FOUND_SECONDS)
                await self.warm_up()
                if len(figures[f"{stage}: {name}"]) >= _KILLS:
                    break
        return figures


async def measured(directory: Path) -> Figures:
    async with (
        running_replicas({"tokenizer": 1, "llm": 2, "detokenizer": 2}) as replicas,
        running_gateway(replicas.targets, directory) as gateway,
    ):
        measure = AfterKill(gateway)
        await measure.warm_up()
        stages = [await measure.after_kills(replicas, stage) for stage in ("llm", "detokenizer")]
        return {"usual": measure.usual, **stages[0], **stages[1]}


def main() -> None:
    with TemporaryDirectory() as directory:
        figures = asyncio.run(measured(Path(directory)))
    usual = median(figures["usual"])
    print(f"{'':40} {'n':>4} {'median':>8} {'worst':>8} {'median / usual':>15}")
    for name, seconds in figures.items():
        middle, worst = median(seconds), max(seconds)
        print(f"{name:40} {len(seconds):4} {middle:6.3f} s {worst:6.3f} s {middle / usual:15.2f}")


if __name__ == "__main__":
    main()
