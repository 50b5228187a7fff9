"""One request and what a listener makes of the reply."""

import re
import time
from dataclasses import dataclass

import aiohttp

from bench.player import Player
from bench.system import System
from bench.texts import Ask

TOO_MANY = 429
_TTFB = re.compile(r"ttfb;dur=([\d.]+)")


@dataclass(frozen=True)
class Heard:
    """A whole reply. `ttfa`: from the request to the first audible sample; `underrun`: see Player. `server_ttfb`: what
    the server says of its own time to the first byte, 0 where it says nothing.
    """

    ttfa: float
    audio: float
    underrun: float
    server_ttfb: float


@dataclass(frozen=True)
class TurnedAway:
    """`retry_after`: when to come again."""

    retry_after: float


@dataclass(frozen=True)
class Failed:
    """`reason`: the status, or what broke."""

    reason: str


Outcome = Heard | TurnedAway | Failed


async def listen(client: aiohttp.ClientSession, system: System, ask: Ask) -> Outcome:
    """`client` has the base URL of `system`."""
    try:
        return await _listen(client, system, ask)
    except (aiohttp.ClientError, TimeoutError) as exc:
        return Failed(type(exc).__name__)


async def _listen(client: aiohttp.ClientSession, system: System, ask: Ask) -> Outcome:
    asked_at = time.perf_counter()
    player = Player(system.sample_rate)
    async with client.post("/v1/audio/speech", json=system.request(ask)) as reply:
        if reply.status == TOO_MANY:
            return TurnedAway(float(reply.headers.get("retry-after", 1)))
        if not reply.ok:
            return Failed(f"{reply.status}")
        async for chunk in reply.content.iter_any():
            player.received(chunk, time.perf_counter())
    if player.first_sound_at is None:
        return Failed("silence")
    return Heard(player.first_sound_at - asked_at, player.audio, player.underrun, _server_ttfb(reply))


def _server_ttfb(reply: aiohttp.ClientResponse) -> float:
    said = _TTFB.search(reply.headers.get("server-timing", ""))
    return float(said[1]) / 1000 if said else 0.0
