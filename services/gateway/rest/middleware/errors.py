"""The outermost edge: an error before the reply has begun becomes an error reply; a later one breaks the reply off."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.rest.errors import to_ours, to_response
from services.runtime.traces import let_go


class Errors:
    """Raises only our errors, and only after the reply has begun: the server then breaks the connection off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as exc:  # The outermost edge of HTTP: an unexpected error becomes a 500.
            if begun:
                raise to_ours(exc) from exc
            response = to_response(to_ours(exc))
            let_go(exc)
            await response(scope, receive, send)
