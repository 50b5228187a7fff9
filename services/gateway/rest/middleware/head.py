"""HEAD is GET without the body: the server drops the body, so an app need not know."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Head:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # A copy: the server reads its own scope to see that no body may be sent.
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
