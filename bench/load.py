"""Listeners at work: in a closed loop each asks again when its reply ends, in an open loop they come when they come."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import aiohttp

from bench.listener import Outcome, TurnedAway, listen
from bench.system import System
from bench.texts import Ask

_TIMEOUT = 600.0
# A listener who was turned away waits as long as it was told, and no longer than this.
_LONGEST_WAIT = 5.0


@dataclass(frozen=True)
class Run:
    """`seconds`: from the first request to the end of the last reply."""

    outcomes: Sequence[Outcome]
    seconds: float


async def closed_loop(system: System, streams: int, replies: int, asks: Iterator[Ask]) -> Run:
    """`replies` requests shared by `streams` listeners."""
    work = islice(asks, replies)
    outcomes: list[Outcome] = []

    async def listener(client: aiohttp.ClientSession) -> None:
        for ask in work:
            outcome = await listen(client, system, ask)
            outcomes.append(outcome)
            if isinstance(outcome, TurnedAway):
                await asyncio.sleep(min(outcome.retry_after, _LONGEST_WAIT))

    async with _client(system) as client:
        begun = time.perf_counter()
        await asyncio.gather(*(listener(client) for _ in range(streams)))
        return Run(outcomes, time.perf_counter() - begun)


async def open_loop(system: System, arrivals: Sequence[float], asks: Iterator[Ask]) -> Run:
    """A request at each of `arrivals`, seconds from now, in order; nobody comes twice."""

    async def listener(client: aiohttp.ClientSession, begun: float, arrival: float, ask: Ask) -> Outcome:
        await asyncio.sleep(max(0.0, begun + arrival - time.perf_counter()))
        return await listen(client, system, ask)

    async with _client(system) as client:
        begun = time.perf_counter()
        listeners = [listener(client, begun, arrival, ask) for arrival, ask in zip(arrivals, asks, strict=False)]
        outcomes = await asyncio.gather(*listeners)
        return Run(outcomes, time.perf_counter() - begun)


def _client(system: System) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(system.url, connector=connector, timeout=aiohttp.ClientTimeout(_TIMEOUT))
