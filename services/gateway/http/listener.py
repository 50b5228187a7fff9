"""Takes connections a few at a time. An event loop takes all that wait at once, and a thousand hold everybody up."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

logger = logging.getLogger(__name__)

# In one turn of the loop.
_AT_ONCE = 8
# Where no more can be taken.
_PAUSE_SECONDS = 0.5


class Listener:
    """In place of an asyncio.Server, as far as uvicorn uses it. `make` is called for each connection. A TLS handshake
    may take `handshake_seconds`.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.BaseProtocol],
        listening: socket.socket,
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        self._make = make
        self._socket = listening
        self._tls = tls
        self._handshake_seconds = handshake_seconds if tls else None
        self._loop = asyncio.get_running_loop()
        self._paused: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()

    def start(self, backlog: int) -> None:
        self._socket.setblocking(False)
        self._socket.listen(backlog)
        self._go_on()

    def close(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    async def wait_closed(self) -> None:
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:  # This process has no file for it, or the machine no memory.
                logger.warning("no connection can be taken for now: %s", exc)
                self._pause()
                return
            accepted.setblocking(False)
            task = self._loop.create_task(self._open(accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _pause(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._paused = self._loop.call_later(_PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._accept)

    async def _open(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make, accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )
        except OSError:  # So is a handshake that failed.
            accepted.close()
