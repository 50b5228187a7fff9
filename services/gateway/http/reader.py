"""Gives HTTP connections what comes for them, little at a time."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from services.gateway.http.connection import Connection
from services.gateway.http.connections import Connections

# What is parsed in one go: what it costs holds up everybody else.
_READ_BYTES = 16 * 1024


class Reader(asyncio.BufferedProtocol):
    """Gives a connection little at a time, and the others a turn in between. `buffer` may be shared: it is read at
    once.
    """

    def __init__(self, connection: Connection, buffer: memoryview) -> None:
        self._connection = connection
        self._buffer = buffer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # A stream has this kind.
        self._transport = transport
        self._connection.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.data_received(bytes(self._buffer[:nbytes]))
        if nbytes == len(self._buffer) and not self._connection.flow.read_paused:
            self._transport.pause_reading()
            self._connection.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if not self._connection.flow.read_paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()


class ConnectionFactory:
    """Makes what the server has for each connection."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        # A view: asyncio's TLS fills slices of it.
        self._buffer = memoryview(bytearray(_READ_BYTES))

    def __call__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> Reader:
        return Reader(Connection(self._connections, config, server_state, app_state), self._buffer)
