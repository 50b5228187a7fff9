"""Cancels a request as soon as its client has left, whether or not its reply has begun. ASGI reports a disconnect only
to whoever awaits `receive`, so this middleware always awaits it.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.errors import Cancelled


class Disconnect:
    """Raises Cancelled once the app has been cancelled, because the client left or reads nothing; where this task is
    cancelled itself, the server ends.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = _Client(receive, send)
        task = asyncio.ensure_future(self._app(scope, client.receive, client.send))
        listener = asyncio.create_task(client.listen(task))
        try:
            await task
        except asyncio.CancelledError:
            this = asyncio.current_task()
            assert this is not None
            if this.cancelling():
                raise
            raise Cancelled("The client left, or has read nothing for too long.") from None
        finally:
            listener.cancel()


class _Client:
    """Reads one message of the request ahead of the app, and so learns when the connection ends."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)
        self._answered = False

    async def receive(self) -> Message:
        return await self._messages.get()

    async def send(self, message: Message) -> None:
        self._answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def listen(self, task: "asyncio.Future[None]") -> None:
        """Cancels `task` when the client leaves. The server reports the end of a complete reply in the same way, which
        is ignored.
        """
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await self._receive()
            if message["type"] == "http.disconnect" and not self._answered:
                task.cancel()
            await self._messages.put(message)
