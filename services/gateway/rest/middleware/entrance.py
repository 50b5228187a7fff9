"""Asks the guard before the body is read."""

from fastapi import Security
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.access.demands import REST, Demand, Open
from services.gateway.access.guard import AUTHORIZATION, Guard, counted

# Checks nothing: it makes the OpenAPI schema say that a route needs a key.
DOCUMENTED_KEY = [Security(HTTPBearer(auto_error=False, description="Only where the server has keys."))]


class Entrance:
    """Raises what the guard raises."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard
        self._demands = [(method, compile_path(path)[0], demand) for (method, path), demand in REST.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        demand = self._demand(scope.get("method", ""), scope["path"])
        sent = [value.encode("latin-1") for value in Headers(scope=scope).getlist(AUTHORIZATION)]
        principal = await self._guard.admit(demand, sent)
        with counted(principal, demand):
            await self._app(scope, receive, send)

    def _demand(self, method: str, path: str) -> Demand:
        """A path that there is not, and a WebSocket, demand a key."""
        if method == "OPTIONS":
            return Open.PROBE
        return next((demand for of, form, demand in self._demands if of == method and form.match(path)), Open.KEY)
