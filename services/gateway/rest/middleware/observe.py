"""Rate, errors and duration of every HTTP request, a log line for each, and in each reply how long it took to begin."""

import logging
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.errors import Cancelled, VoxlineError, row
from services.runtime.metrics import SECONDS

logger = logging.getLogger(__name__)

_UNLOGGED = ("/health", "/healthz", "/readyz")


class HttpMetrics:
    """`route` is the template, e.g. /v1/audio/voices/{voice_id}. A reply that broke off counts under the status of the
    error that broke it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "voxline_gateway_http_requests",
            "HTTP requests that ended.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "voxline_gateway_http_seconds",
            "Duration of HTTP requests, to the end of the reply.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("voxline_gateway_http_in_flight", "HTTP requests being served.", registry=registry)


class Observe:
    """The header `Server-Timing: ttfb;dur=MS` says after how long the reply began; a streamed one begins with audio."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status, broken = row(Cancelled("")).http, None

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                milliseconds = 1000 * (time.monotonic() - started)
                MutableHeaders(scope=message)["server-timing"] = f"ttfb;dur={milliseconds:.1f}"
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, watched)
        except Cancelled as exc:  # Nobody listens any more.
            status = row(exc).http
        except VoxlineError as exc:
            status, broken = row(exc).http, exc.message
            raise
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, status, broken, time.monotonic() - started)

    def _record(self, scope: Scope, status: int, broken: str | None, seconds: float) -> None:
        """`broken`: why a reply was that had begun."""
        route = str(getattr(scope.get("route"), "path", "unmatched"))
        self._metrics.requests.labels(scope["method"], route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if scope["path"] not in _UNLOGGED:
            fields = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 4)}
            logger.info("http", extra=fields if broken is None else fields | {"broken": broken})
