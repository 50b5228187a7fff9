"""All connections of the HTTP server: how many there are, from where, and which are turned away."""

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.gateway.http.limits import HttpLimits
from services.gateway.http.refusal import TOO_MANY, TOO_MANY_OF_ADDRESS, Refusal


class Connections:
    def __init__(self, limits: HttpLimits, registry: CollectorRegistry) -> None:
        self.limits = limits
        self._of_address: Tally[str] = Tally()
        self._count = 0
        self._open = Gauge("voxline_gateway_http_connections", "Open HTTP connections.", registry=registry)
        self._refused = Counter(
            "voxline_gateway_http_refused",
            "HTTP connections that were ended because of a limit.",
            ["reason"],
            registry=registry,
        )

    def add(self, address: str) -> Refusal | None:
        """Counts it, and says whether it is one too many."""
        self._change(address, 1)
        if self._count > self.limits.connections:
            return TOO_MANY
        most = self.limits.connections_per_address
        if most and self._of_address[address] > most and self.limits.for_itself(address):
            return TOO_MANY_OF_ADDRESS
        return None

    def remove(self, address: str) -> None:
        self._change(address, -1)
        if not self._of_address[address]:
            del self._of_address[address]

    def refused(self, refusal: Refusal) -> None:
        self._refused.labels(refusal.reason).inc()

    def _change(self, address: str, step: int) -> None:
        self._of_address[address] += step
        self._count += step
        self._open.set(self._count)
