"""All connections of the HTTP server: how many there are, from where, and which are turned away or late."""

import asyncio
from collections import Counter as Tally
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.gateway.http.limits import HttpLimits
from services.gateway.http.refusal import TOO_MANY, TOO_MANY_OF_ADDRESS, Refusal

# How often connections are looked through for such as are late, and how many end in one turn of the loop.
_SWEEP_SECONDS = 0.1
_AT_ONCE = 8


class Watched(Protocol):
    """A connection. `look_at`, in the loop's time: when to look whether it is late; None: not for now."""

    look_at: float | None

    def look(self) -> None: ...


class Connections:
    def __init__(self, limits: HttpLimits, registry: CollectorRegistry) -> None:
        self.limits = limits
        self._of_address: Tally[str] = Tally()
        self._all: set[Watched] = set()
        self._open = Gauge("voxline_gateway_http_connections", "Open HTTP connections.", registry=registry)
        self._refused = Counter(
            "voxline_gateway_http_refused",
            "HTTP connections that were ended because of a limit.",
            ["reason"],
            registry=registry,
        )

    def add(self, connection: Watched, address: str) -> Refusal | None:
        """Counts it, and says whether it is one too many."""
        self._all.add(connection)
        self._of_address[address] += 1
        self._open.set(len(self._all))
        if len(self._all) > self.limits.connections:
            return TOO_MANY
        most = self.limits.connections_per_address
        if most and self._of_address[address] > most and self.limits.for_itself(address):
            return TOO_MANY_OF_ADDRESS
        return None

    def remove(self, connection: Watched, address: str) -> None:
        self._all.discard(connection)
        self._of_address[address] -= 1
        self._open.set(len(self._all))
        if not self._of_address[address]:
            del self._of_address[address]

    def refused(self, refusal: Refusal) -> None:
        self._refused.labels(refusal.reason).inc()

    async def sweep(self) -> None:
        """Runs until it is cancelled. Timers of their own would end a crowd of connections all at once."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now, looked = loop.time(), 0
            for each in tuple(self._all):
                if each.look_at is not None and each.look_at <= now:
                    each.look()
                    looked += 1
                    if looked % _AT_ONCE == 0:
                        await asyncio.sleep(0)
