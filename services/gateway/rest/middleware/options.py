"""Says which methods a path has to who asks by OPTIONS, and by no preflight of an origin that may call."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.rest.methods import methods_of


class Options:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = methods_of(scope["path"]) if scope.get("method") == "OPTIONS" else ()
        if methods:
            await Response(status_code=204, headers={"allow": ", ".join(methods)})(scope, receive, send)
        else:
            await self._app(scope, receive, send)
