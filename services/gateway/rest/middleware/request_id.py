"""Gives every request an id and sends it back in the reply."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.request_context import REQUEST_ID, RequestContext, entered


class RequestId:
    """Sets the request context, which the logs and the calls to stages read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        context = RequestContext.from_metadata(Headers(scope=scope))

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = context.request_id
            await send(message)

        with entered(context):
            await self._app(scope, receive, named)
