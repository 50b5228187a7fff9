"""A gRPC server as every stage runs it: health per service, reflection, /metrics, one interceptor, and a drain that
loses no call.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, start_http_server

from services.runtime.address import joined
from services.runtime.channel import KEEPALIVE_MS, MAX_MESSAGE_BYTES
from services.runtime.interceptors import Entrance, RpcInterceptor, unguarded
from services.runtime.message_size import MessageLimits
from services.runtime.metrics import RpcMetrics
from services.runtime.settings import ServerSettings
from services.runtime.tls import ServerCertificate

logger = logging.getLogger(__name__)

# Health services for probes: liveness stays SERVING while a drain is on, readiness does not.
LIVENESS, READINESS = "liveness", "readiness"
_HealthStatus = health_pb2.HealthCheckResponse


@dataclass(frozen=True)
class Service:
    """A gRPC service: its full name, and how to register its servicer."""

    name: str
    register: Callable[[grpc.aio.Server], None]


@dataclass(frozen=True)
class Bounds:
    """Of a server that anybody may call. `handshake_seconds`: until a connection has said that it speaks HTTP/2;
    `streams`: calls at once on a connection, after which a client waits.
    """

    messages: MessageLimits
    connections: int
    streams: int
    handshake_seconds: float

    def options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self.messages.largest),
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.max_concurrent_streams", self.streams),
            ("grpc.server_handshake_timeout_ms", int(self.handshake_seconds * 1000)),
        ]


class StageServer:
    """Owns the gRPC server and the metrics listener of one process. `bounds`: None where its callers are trusted;
    `entrance`: what asks them.
    """

    def __init__(
        self,
        services: Sequence[Service],
        settings: ServerSettings,
        registry: CollectorRegistry,
        bounds: Bounds | None = None,
        entrance: Entrance = unguarded,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # The stubs lack it.
        self._names = (*(service.name for service in services), health.OVERALL_HEALTH, READINESS)
        self._server = grpc.aio.server(
            interceptors=[RpcInterceptor(RpcMetrics(registry), bounds.messages if bounds else None, entrance)],
            # The last of a name counts.
            options=[*_server_options(settings), *(bounds.options() if bounds else ())],
        )
        for service in services:
            service.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        listed = (*(service.name for service in services), health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(listed, self._server)
        self.port = 0
        self.metrics_port = 0
        self.health_port = 0
        self._probed: grpc.aio.Server | None = None

    async def start(self, serving: bool = True) -> None:
        """Raises RuntimeError or OSError when a port is taken, or a socket cannot be made."""
        settings = self._settings
        self.port = self._listen()
        if settings.health_port is not None:
            self._probed = grpc.aio.server(options=_server_options(settings))
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._probed)
            self.health_port = self._probed.add_insecure_port(joined(settings.host, settings.health_port))
            await self._probed.start()
        host = settings.metrics_host or settings.host
        try:
            self._metrics, _ = start_http_server(settings.metrics_port, host, self._registry)
        except OSError as exc:
            address = joined(host, settings.metrics_port)
            raise OSError(f"Metrics cannot listen on {address}: {exc.strerror}.") from exc
        self.metrics_port = self._metrics.server_port
        await self._server.start()
        await self._health.set(LIVENESS, _HealthStatus.SERVING)
        await self.set_serving(serving)
        where = {"port": self.port} if settings.socket is None else {"socket": str(settings.socket)}
        logger.info("serving", extra=where | {"metrics_port": self.metrics_port})

    def _listen(self) -> int:
        """The port; 1 for a socket. Raises RuntimeError, and OSError for certificates that are no good."""
        settings = self._settings
        address = joined(settings.host, settings.port) if settings.socket is None else f"unix:{settings.socket}"
        if settings.tls is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, ServerCertificate(settings.tls).for_grpc())

    async def set_serving(self, serving: bool) -> None:
        status = _HealthStatus.SERVING if serving else _HealthStatus.NOT_SERVING
        for name in self._names:
            await self._health.set(name, status)

    async def drain(self) -> None:
        """Turns new callers away, lets running calls end, then stops."""
        await self.set_serving(False)
        await asyncio.sleep(self._settings.drain_seconds)
        await self.stop(self._settings.grace_seconds)

    async def stop(self, grace: float | None = None) -> None:
        await self._server.stop(grace)
        if self._probed is not None:
            await self._probed.stop(None)
        await asyncio.to_thread(self._metrics.shutdown)
        self._metrics.server_close()


class Process(Protocol):
    """What a process runs: a StageServer, or several servers that start and drain as one."""

    async def start(self) -> None: ...

    async def set_serving(self, serving: bool) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self, grace: float | None = None) -> None: ...


# As a command line that cannot be carried out.
_CANNOT_START = 2


async def run_until_stopped(server: Process, failure: "asyncio.Future[None] | None" = None) -> int:
    """Serves until SIGTERM or SIGINT (0), or until `failure` gets an exception (1); 2 where a port is taken. The exit
    status of the process.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await server.start()
    except (OSError, RuntimeError) as exc:
        logger.critical("cannot start: %s", exc)
        return _CANNOT_START
    _keep_from_collector()
    died: asyncio.Future[None] = loop.create_future() if failure is None else failure
    waiting = asyncio.ensure_future(stopped.wait())
    await asyncio.wait((waiting, died), return_when=asyncio.FIRST_COMPLETED)
    if not died.done():
        await server.drain()
        return 0
    waiting.cancel()
    logger.critical("the engine died", exc_info=died.exception())
    await server.set_serving(False)
    await server.stop(1.0)
    return 1


# Calls leave cycles behind. The collector goes through all that came since the start after fewer objects than usual (20
# thousand): what it then finds takes a few milliseconds, not twenty.
_COLLECTED_AFTER = (700, 10, 2)


def _keep_from_collector() -> None:
    """What is there by now stays. A collection that went through all of it (modules, schemas, the model) held up every
    stream, and took a fifth of the gateway's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)


def _server_options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_connection_age_ms", int(settings.max_connection_age_seconds * 1000)),
        # Its grace stays infinite: a connection that is too old turns new calls away (GOAWAY) and cuts none that runs.
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
