"""uvicorn on an event loop that it shares: it installs no signal handlers, and its start can be awaited."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import anyio.lowlevel
import uvicorn
from starlette.types import ASGIApp

from services.gateway.http.broken_off import BrokenOff
from services.gateway.http.connections import Connections
from services.gateway.http.limits import HttpLimits
from services.gateway.http.listener import Listener
from services.gateway.http.reader import ConnectionFactory
from services.runtime.address import joined
from services.runtime.tls import ServerCertificate


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


class HttpServer:
    """`certificate`: None is no TLS."""

    def __init__(
        self, app: ASGIApp, address: Address, connections: Connections, certificate: ServerCertificate | None = None
    ) -> None:
        self._address = address
        self._connections = connections
        self._server = _Server(_config(app, connections.limits, certificate), connections)
        self.port = 0

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        await anyio.lowlevel.checkpoint()  # At its first use anyio imports half of itself, for 70 ms.
        listener = self._listener()
        # asyncio sets TCP_NODELAY only on sockets that name their protocol. Without it the first audio of a reply waits
        # about 40 ms, until the client has acknowledged the headers.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        self._sweeping = asyncio.create_task(self._connections.sweep())
        self._serving = asyncio.create_task(self._server.serve([listener]))
        started = asyncio.create_task(self._server.up.wait())
        await asyncio.wait((self._serving, started), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()

    def _listener(self) -> socket.socket:
        host, port = self._address.host, self._address.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # As gRPC does: who listens on all addresses of IPv6 listens on those of IPv4 too.
        both = host == "::" and socket.has_dualstack_ipv6()
        try:
            return socket.create_server((host, port), family=family, dualstack_ipv6=both)
        except OSError as exc:
            raise OSError(f"HTTP cannot listen on {joined(host, port)}: {os.strerror(exc.errno or 0)}.") from exc

    async def stop(self, grace: float) -> None:
        """Accepts no more connections, gives running replies `grace` seconds, then breaks them off."""
        self._server.config.timeout_graceful_shutdown = round(grace)
        self._server.should_exit = True
        await self._serving
        self._sweeping.cancel()


def _config(app: ASGIApp, limits: HttpLimits, certificate: ServerCertificate | None) -> uvicorn.Config:
    tls = None if certificate is None else certificate.for_http()
    return uvicorn.Config(
        BrokenOff(app),
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        ssl_context_factory=None if tls is None else lambda config, default: tls,
        timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]  # Of any fraction.
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's own, but for our connections; a handshake has as long as a head."""
        assert sockets is not None
        make = partial(ConnectionFactory(self._connections), self.config, self.server_state, {})
        listeners = [Listener(make, each, self.config.ssl, self._connections.limits.head_seconds) for each in sockets]
        for listener in listeners:
            listener.start(self.config.backlog)
        self.servers = listeners  # type: ignore[assignment]  # They have what uvicorn asks of asyncio.Server.
        self.started = True
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Installs no handlers: the process drains gRPC and HTTP together."""
        yield
