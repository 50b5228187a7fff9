"""uvicorn on an event loop that it shares: it installs no signal handlers, and its start can be awaited."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from services.gateway.http.broken_off import BrokenOff
from services.gateway.http.connection import ConnectionFactory
from services.gateway.http.connections import Connections


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


class HttpServer:
    def __init__(self, app: ASGIApp, address: Address, connections: Connections) -> None:
        self._address = address
        self._server = _Server(_config(app, connections))
        self.port = 0

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        listener = socket.create_server((self._address.host, self._address.port))
        # asyncio sets TCP_NODELAY only on sockets that name their protocol. Without it the first audio of a reply waits
        # about 40 ms, until the client has acknowledged the headers.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listener]))
        started = asyncio.create_task(self._server.up.wait())
        await asyncio.wait((self._serving, started), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()

    async def stop(self, grace: float) -> None:
        """Accepts no more connections, gives running replies `grace` seconds, then breaks them off."""
        self._server.config.timeout_graceful_shutdown = round(grace)
        self._server.should_exit = True
        await self._serving


def _config(app: ASGIApp, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        BrokenOff(app),
        # uvicorn only calls it.
        http=ConnectionFactory(connections),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=connections.limits.idle_seconds,  # type: ignore[arg-type]  # Of any fraction.
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Installs no handlers: the process drains gRPC and HTTP together."""
        yield
