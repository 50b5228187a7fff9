"""Limits the size of a request body while it is read, whatever its headers say."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Raises HTTPException from `receive`: the framework would replace any other exception by one of its own."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_bytes:
                await self._discard(message, receive)
                raise HTTPException(413, f"The body is larger than {self._max_bytes} bytes.")
            return message

        await self._app(scope, limited, send)

    async def _discard(self, message: Message, receive: Receive) -> None:
        """Reads and drops up to the same size again: a client that is cut off while it sends never reads the reply."""
        discarded = 0
        while message.get("more_body", False) and discarded <= self._max_bytes:
            message = await receive()
            discarded += len(message.get("body", b""))
