"""Replies to HTTP/1.0 and older, which know no chunks. uvicorn sends chunks to everybody."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Unframed:
    """A body without a length ends with its connection, which uvicorn closes after each reply to HTTP/1.0."""

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        until_close = False

        async def unframed(message: Message) -> None:
            nonlocal until_close
            if message["type"] == "http.response.start":
                until_close = "content-length" not in Headers(raw=message["headers"])
                self._cycle.chunked_encoding = False if until_close else None
            elif until_close:
                self._cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, unframed)
