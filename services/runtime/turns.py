"""What costs a millisecond of the event loop for one request costs many where many ask at once."""

import asyncio
from collections import deque


class Turns:
    """Who takes a turn may compute until it next waits; the next turn comes once the loop has looked at all else."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def take(self) -> None:
        """At once where nobody has taken one since the loop looked around."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._next)
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next(self) -> None:
        while self._waiting and self._waiting[0].cancelled():
            self._waiting.popleft()
        if self._waiting:
            self._waiting.popleft().set_result(None)
            asyncio.get_running_loop().call_soon(self._next)
        else:
            self._taken = False
