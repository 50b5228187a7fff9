"""Checks the API key, if the server has one, before the body is read. A request that changes nothing needs no key:
clients fetch the lists of models and voices without one, even where speech needs it.
"""

from hmac import compare_digest

from fastapi import Security
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.errors import Unauthenticated

# Checks nothing: it makes the OpenAPI schema say that a route needs the key.
DOCUMENTED_KEY = [Security(HTTPBearer(auto_error=False, description="Only where the server has a key."))]
_FREE = ("GET", "HEAD", "OPTIONS")


class ApiKey:
    """An empty key lets everybody in, whatever they send."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._key and _needs_key(scope):
            self._check(Headers(scope=scope).get("authorization", ""))
        await self._app(scope, receive, send)

    def _check(self, authorization: str) -> None:
        """Raises Unauthenticated unless it is `Bearer KEY`."""
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("No API key: send it as 'Authorization: Bearer KEY'.")
        if not compare_digest(key.strip().encode(), self._key):
            raise Unauthenticated("The API key is not the one that this server expects.")


def _needs_key(scope: Scope) -> bool:
    """A WebSocket always needs it."""
    return scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in _FREE)
