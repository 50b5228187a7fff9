"""A reply that failed after it had begun: its connection ends, so that nobody takes it for whole. Whoever made the
reply has told the log why; uvicorn would add a traceback.
"""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.http.connection import BREAK_OFF
from services.runtime.errors import VoxlineError


class BrokenOff:
    """The outermost edge of a request: what is raised here has been seen by all others. Cancelled: the server ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except (VoxlineError, asyncio.CancelledError):
            scope["extensions"][BREAK_OFF]["call"]()
