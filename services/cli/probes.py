"""Whether a program of ours answers. Each probe tells whether it did, and raises TimeoutError when it says nothing."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.channel import open_channel
from services.runtime.server import LIVENESS

Probe = Callable[[], Awaitable[bool]]

_SECONDS = 3.0


def of_stage(socket: Path) -> Probe:
    async def answers() -> bool:
        async with open_channel(f"unix:{socket}") as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            try:
                await check(health_pb2.HealthCheckRequest(service=LIVENESS), timeout=_SECONDS)
            except grpc.aio.AioRpcError as exc:
                if exc.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise TimeoutError from exc
                return False
        return True

    return answers


def of_gateway(url: str) -> Probe:
    async def answers() -> bool:
        # It is our own gateway that is asked, whatever its certificate is for.
        async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=_SECONDS) as client:
            try:
                return (await client.get("/healthz")).is_success
            except httpx.TimeoutException as exc:
                raise TimeoutError from exc
            except httpx.TransportError:
                return False

    return answers
