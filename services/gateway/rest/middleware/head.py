"""Serves HEAD as GET: the server drops the body, so no route has to know of it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Head:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # A copy, because the server reads the method in its own scope to know that no body may be sent.
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
