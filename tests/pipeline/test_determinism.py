"""A seed gives the same bytes whatever else is spoken at the time, streamed or not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import httpx
import pytest

from bench.stack import RunningStack

TEXTS = (
    "Yes.",
    "The river runs past the old mill.",
    "How late is it, and who rings so early?",
    # Over the limit of a segment, which is 100 characters for the bundled voice.
    "The first part of it comes before the noon. The second part of it has to wait a little longer. "
    "The third part comes when nobody waits for it.",
)


@dataclass(frozen=True)
class Ask:
    text: str
    seed: int
    stream: bool = True


async def spoken(client: httpx.AsyncClient, ask: Ask) -> bytes:
    """A slow machine may turn streams away for a while; they come again when it says so."""
    body = {"input": ask.text, "seed": ask.seed, "stream": ask.stream, "response_format": "pcm", "voice": "alloy"}
    async with client.stream("POST", "/v1/audio/speech", json=body) as reply:
        if reply.status_code == 200:
            return b"".join([chunk async for chunk in reply.aiter_raw()])
        assert reply.status_code == 429, await reply.aread()
        await asyncio.sleep(float(reply.headers["Retry-After"]))
    return await spoken(client, ask)


async def spoken_together(client: httpx.AsyncClient, asks: Sequence[Ask], streams: int) -> list[bytes]:
    room = asyncio.Semaphore(streams)

    async def one(ask: Ask) -> bytes:
        async with room:
            return await spoken(client, ask)

    return await asyncio.gather(*(one(ask) for ask in asks))


@pytest.fixture
async def client(stack: RunningStack):
    async with httpx.AsyncClient(base_url=stack.url, timeout=300, limits=httpx.Limits(max_connections=None)) as client:
        yield client


async def test_bytes_are_the_same_at_1_4_and_16_streams(client: httpx.AsyncClient) -> None:
    asks = [Ask(text, seed, stream) for text, seed, stream in product(TEXTS, (3, 7), (True, False))]
    alone = await spoken_together(client, asks, 1)
    assert [alone[place] for place in range(0, 16, 2)] == [alone[place] for place in range(1, 16, 2)], "stream or not"
    assert len(set(alone)) == 8, "a text and a seed each sound different"
    for streams in (4, 16):
        together = await spoken_together(client, asks, streams)
        assert [ask for ask, one, other in zip(asks, alone, together, strict=True) if one != other] == []
