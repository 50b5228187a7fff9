"""What belongs to the gateway, as parameters of FastAPI handlers."""

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from services.gateway.interface import SpeechGateway


async def _gateway(request: Request) -> SpeechGateway:
    gateway: SpeechGateway = request.app.state.gateway
    return gateway


TheGateway = Annotated[SpeechGateway, Depends(_gateway)]


async def _uploads(request: Request) -> asyncio.Semaphore:
    uploads: asyncio.Semaphore = request.app.state.uploads
    return uploads


# To be held by who has a whole upload in memory; those that wait lie on disk.
TheUploads = Annotated[asyncio.Semaphore, Depends(_uploads)]
