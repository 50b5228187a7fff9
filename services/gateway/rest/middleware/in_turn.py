"""Begins one request, and hands on one piece of a body, at a time: many that come at once shall not add up to a pause
for everybody else.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.turns import Turns


class InTurn:
    def __init__(self, app: ASGIApp, turns: Turns) -> None:
        self._app = app
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def receive_in_turn() -> Message:
            message = await receive()
            await self._turns.take()
            return message

        await self._turns.take()
        await self._app(scope, receive_in_turn, send)
