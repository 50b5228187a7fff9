"""Limits the size of a request body, and says what form it must have: before it is read where the head tells, and else
while it is read.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.rest.body_limits import BodyLimits, is_upload
from services.gateway.rest.content import as_it_is, unreadable
from services.gateway.rest.json_text import JsonText
from services.gateway.rest.json_values import JsonValues
from services.runtime.errors import TooLarge


class BodyLimit:
    """What is not read any more is dropped by the server, so that its sender reads the reply."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        as_it_is(headers)
        # 0 for one that comes in chunks. The server has checked its form.
        self._limits.check(int(headers.get("content-length", "0")), is_upload(headers))
        await self._app(scope, _Body(receive, self._limits, headers).receive, send)


class _Body:
    """Raises HTTPException: the framework would replace any other by one of its own."""

    def __init__(self, receive: Receive, limits: BodyLimits, headers: Headers) -> None:
        self._receive = receive
        self._limits = limits
        self._headers = headers
        self._upload = is_upload(headers)
        self._size = 0
        self._text, self._values = JsonText(), JsonValues()

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        try:
            self._count(message.get("body", b""), not message.get("more_body", False))
        except TooLarge as exc:
            raise HTTPException(413, exc.message) from exc
        except ValueError as exc:
            raise HTTPException(400, unreadable(self._headers, str(exc))) from exc
        return message

    def _count(self, piece: bytes, last: bool) -> None:
        self._size += len(piece)
        self._limits.check(self._size, self._upload)
        if not self._upload:
            self._text.feed(piece, last)
            self._values.feed(piece)
            self._limits.check_values(self._values.count)
