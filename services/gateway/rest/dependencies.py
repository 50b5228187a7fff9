"""The gateway as a parameter of a FastAPI handler."""

from typing import Annotated

from fastapi import Depends, Request

from services.gateway.interface import SpeechGateway


async def _gateway(request: Request) -> SpeechGateway:
    gateway: SpeechGateway = request.app.state.gateway
    return gateway


TheGateway = Annotated[SpeechGateway, Depends(_gateway)]
