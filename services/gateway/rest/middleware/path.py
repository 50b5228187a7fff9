"""Takes slashes at the end of a path, and several in a row, for what was meant: base URLs end with one or do not. A
redirect would lose the body of a POST in many clients.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send


class Path:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": re.sub("/+", "/", scope["path"]).removesuffix("/") or "/"}
        await self._app(scope, receive, send)
