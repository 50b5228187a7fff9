"""Asks the guard before a message is read."""

from contextlib import AbstractContextManager

import grpc

from services.gateway.access.demands import RPC
from services.gateway.access.guard import AUTHORIZATION, Guard, counted
from services.gateway.access.key import Scope


class Entrance:
    """Raises what the guard raises."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def __call__(self, details: grpc.HandlerCallDetails) -> AbstractContextManager[None]:
        demand = RPC.get(details.method, Scope.ADMIN)
        metadata = details.invocation_metadata or ()
        sent = [
            value if isinstance(value, bytes) else value.encode() for key, value in metadata if key == AUTHORIZATION
        ]
        return counted(await self._guard.admit(demand, sent), demand)
