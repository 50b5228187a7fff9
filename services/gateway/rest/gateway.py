"""How a handler gets at the gateway."""

from typing import Annotated

from fastapi import Depends, Request

from services.gateway.gateway import Gateway


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


TheGateway = Annotated[Gateway, Depends(_gateway)]
