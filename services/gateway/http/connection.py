"""One HTTP connection: uvicorn's, with bounds on time, size and number of what a caller sends.

uvicorn waits for ever for the rest of a head or a body, and takes heads and queues of requests of any length.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from services.gateway.http.connections import Connections
from services.gateway.http.refusal import (
    HTTP_2,
    LARGE_HEAD,
    LATE_BODY,
    LATE_HEAD,
    MALFORMED,
    TOO_MANY_QUEUED,
    Refusal,
    malformed,
)
from services.gateway.http.unframed import Unframed

# A function in the scope of a request: closes its connection, so that no reply can be taken for a whole one.
BREAK_OFF = "voxline.break_off"
# Requests that were sent before the reply to the one before them.
_MAX_QUEUED = 4
# For so long a caller who was refused may still send, so that it reads why.
_LINGER_SECONDS = 1.0
# A request gets its tasks once its body is there, or so much of it: a crowd that sends halves shall not have them.
_WORTH_BYTES = 16 * 1024
# Bytes of a body in chunks, with their sizes, for each that counts.
_MAX_OVERHEAD = 16
# Headers of an offer to go on in another protocol (RFC 9110, 7.8; RFC 7540, 3.2.1).
_OFFER = (b"upgrade", b"http2-settings")
# Versions of HTTP.
_WITHOUT_CHUNKS = ("0.9", "1.0")
# For SO_LINGER: a connection that is closed is reset.
_RESET = struct.pack("ii", 1, 0)


class _Awaited(Enum):
    HEAD = auto()
    BODY = auto()
    # The next request, or the end.
    NOTHING = auto()


class _Refused(Exception):
    """Ends the parser's work."""


class Connection(HttpToolsProtocol):
    def __init__(
        self, connections: Connections, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._connections = connections
        self._limits = connections.limits
        self._awaited = _Awaited.HEAD
        self.look_at: float | None = None
        self._look: Callable[[], None] = self._head_is_late
        self._since = 0.0
        self._message_begun = False
        # Of what is awaited, as they came; and of the body alone.
        self._raw_bytes = self._body_bytes = 0
        self._refusal: Refusal | None = None
        self._address = ""
        # The request that is being answered; `cycle` is the latest, which may be queued.
        self._running: RequestResponseCycle | None = None
        self._begin: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # A stream has this kind.
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._await_head()
        if refusal := self._connections.add(self, self._address):
            self._refuse(refusal)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self, self._address)
        self._end_requests()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        if self._awaited is _Awaited.NOTHING:
            self._await_head()
        self._raw_bytes += len(data)
        try:
            self._parse(data)
            self._check_size()
        except (httptools.HttpParserError, _Refused) as exc:
            self._refuse(self._refusal or malformed(exc))

    def _parse(self, data: bytes) -> None:
        """httptools takes what follows the head of an offer for the other protocol. No offer is taken here: another
        parser reads the head again, without it, and then the body.
        """
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as exc:
                if not self._offered:
                    return
                data = self._head_without_offer() + data[exc.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    @property
    def _offered(self) -> bool:
        """CONNECT is none: it is answered as any other request."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head_without_offer(self) -> bytes:
        line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = (b"%s: %s" % header for header in self.headers if header[0] not in _OFFER)
        return b"\r\n".join([line, *headers, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {BREAK_OFF: {"call": self._break_off}}
        if self._awaited is not _Awaited.HEAD:
            self._await_head()
        self._message_begun = True

    def on_url(self, url: bytes) -> None:
        if self.parser.get_method() == b"PRI":
            raise self._refused(HTTP_2)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= self._limits.headers:
            raise self._refused(LARGE_HEAD)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._offered:
            return
        if len(self.pipeline) >= _MAX_QUEUED:
            raise self._refused(TOO_MANY_QUEUED)
        super().on_headers_complete()
        self._await(_Awaited.BODY)
        self._at(self._since + self._limits.body_seconds, self._look_at_body)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)
        if len(self.cycle.body) >= _WORTH_BYTES:
            self._begin_request()

    def on_message_complete(self) -> None:
        if self._offered:
            return
        super().on_message_complete()
        self._begin_request()
        self._await(_Awaited.NOTHING)
        self.look_at = None
        if self.cycle.response_complete and not self.pipeline:  # uvicorn has begun to wait, and has given it up.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _await_head(self) -> None:
        self._message_begun = False
        self._await(_Awaited.HEAD)
        self._at(self._since + self._limits.head_seconds, self._head_is_late)

    def _await(self, awaited: _Awaited) -> None:
        self._awaited, self._since = awaited, self.loop.time()
        self._raw_bytes = self._body_bytes = 0

    def look(self) -> None:
        self.look_at = None
        self._look()

    def _at(self, when: float, look: Callable[[], None]) -> None:
        self.look_at, self._look = when, look

    def _head_is_late(self) -> None:
        if self._replying:
            self._at(self.loop.time() + self._limits.head_seconds, self._head_is_late)
        elif self._message_begun:
            self._refuse(LATE_HEAD)
        else:
            self._connections.refused(LATE_HEAD)
            self.transport.close()

    def _look_at_body(self) -> None:
        """Again when it would be late if no more came. A request that is queued is not read."""
        limits, now = self._limits, self.loop.time()
        late_at = self._since + max(limits.body_seconds, self._body_bytes / limits.body_bytes_per_second)
        if self.pipeline:
            late_at = now + limits.body_seconds
        if late_at > now:
            self._at(late_at, self._look_at_body)
        else:
            self._refuse(LATE_BODY)

    @property
    def _replying(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _check_size(self) -> None:
        if self._awaited is _Awaited.HEAD and self._raw_bytes > self._limits.head_bytes:
            raise self._refused(LARGE_HEAD)
        # Chunks may have headers behind them, and comments on each.
        if self._awaited is _Awaited.BODY and (
            self._body_bytes > self._limits.body_bytes
            or self._raw_bytes > _MAX_OVERHEAD * self._body_bytes + self._limits.head_bytes
        ):
            raise self._refused(MALFORMED)

    def _refused(self, refusal: Refusal) -> _Refused:
        self._refusal = refusal
        return _Refused()

    def _refuse(self, refusal: Refusal) -> None:
        """Says why where nothing has been said yet, and ends the connection; whoever works for it is told."""
        self._refusal = refusal
        self._connections.refused(refusal)
        self.look_at = None
        if self._running is not None and self._running.response_started and self._replying:
            self._break_off()
            return
        self._end_requests()
        self.transport.write(refusal.reply)
        self._at(self.loop.time() + _LINGER_SECONDS, self.transport.close)

    def _break_off(self) -> None:
        if self._running is not None and self._running.scope["http_version"] in _WITHOUT_CHUNKS:
            # A close would end the body as a whole one ends.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end_requests()
        self.transport.close()

    def _end_requests(self) -> None:
        """Tells whoever answers that nobody listens: uvicorn tells it only of the latest request."""
        self.pipeline.clear()
        if self._running is not None and self._replying:
            self._running.disconnected = True
            self._running.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if cycle.scope["http_version"] in _WITHOUT_CHUNKS:
            app = Unframed(app, cycle)  # type: ignore[arg-type, assignment]  # uvicorn has types of its own for ASGI.
        self._begin = partial(super()._start_asgi_task, cycle, app)
        small = int(dict(self.headers).get(b"content-length", 0)) < _WORTH_BYTES
        if not cycle.more_body or not small or cycle.waiting_for_100_continue:
            self._begin_request()

    def _begin_request(self) -> None:
        if self._begin is not None:
            self._begin()
            self._begin = None
