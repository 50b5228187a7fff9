"""Begins one call at a time, and asks the guard before a message of it is read."""

from contextlib import AbstractContextManager

import grpc

from services.gateway.access.demands import RPC
from services.gateway.access.guard import AUTHORIZATION, Guard, counted
from services.gateway.access.key import Scope
from services.runtime.turns import Turns


class Entrance:
    """Raises what the guard raises."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._turns = Turns()

    async def __call__(self, details: grpc.HandlerCallDetails) -> AbstractContextManager[None]:
        await self._turns.take()
        demand = RPC.get(details.method, Scope.ADMIN)
        metadata = details.invocation_metadata or ()
        sent = [
            value if isinstance(value, bytes) else value.encode() for key, value in metadata if key == AUTHORIZATION
        ]
        return counted(await self._guard.admit(demand, sent), demand)
