"""A stage as small as can be, behind the real runtime."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest
from prometheus_client import CollectorRegistry

from services.contract.frames import Frames
from services.runtime.channel import open_channel
from services.runtime.server import Service, StageServer
from services.runtime.settings import ServerSettings
from voxline.stages.v1 import (
    detokenizer_pb2,
    detokenizer_pb2_grpc,
    llm_pb2,
    llm_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
)

# Only against hanging.
PATIENCE = 60.0


@dataclass
class Script:
    """What the stage does: fail before or after `good` responses, or wait after them until it is `released`."""

    error: Exception | None = None
    good: int = 0
    hang: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    metadata: dict[str, str] = field(default_factory=dict)
    time_remaining: float | None = None


class Model(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def GetModel(self, request, context):
        self._script.metadata = dict(context.invocation_metadata())
        self._script.time_remaining = context.time_remaining()
        if self._script.error is not None:
            raise self._script.error
        return model_pb2.Model(id="small")


class Llm(llm_pb2_grpc.LlmServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def Generate(self, request_iterator, context):
        try:
            for value in range(self._script.good):
                yield llm_pb2.GenerateResponse(frames=Frames.of_codes([value], first=value).to_proto())
            if self._script.error is not None:
                raise self._script.error
            if self._script.hang:
                await self._script.released.wait()
        finally:
            self._script.closed.set()


class Detokenizer(detokenizer_pb2_grpc.DetokenizerServiceServicer):
    """Echoes the number of values of each request as bytes of silence."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def Detokenize(self, request_iterator, context):
        try:
            async for request in request_iterator:
                if self._script.error is not None:
                    raise self._script.error
                response = detokenizer_pb2.DetokenizeResponse()
                response.audio.samples = bytes(len(request.frames.codes.values))
                yield response
        finally:
            self._script.closed.set()


@dataclass
class Stage:
    server: StageServer
    script: Script
    registry: CollectorRegistry
    channel: grpc.aio.Channel

    async def until_closed(self) -> None:
        """Its streams end by themselves only as scripted: one that hangs is closed by its caller."""
        async with asyncio.timeout(PATIENCE):
            await self.script.closed.wait()

    @property
    def get_model(self):
        return model_pb2_grpc.ModelServiceStub(self.channel).GetModel

    @property
    def generate(self):
        return llm_pb2_grpc.LlmServiceStub(self.channel).Generate

    @property
    def detokenize(self):
        return detokenizer_pb2_grpc.DetokenizerServiceStub(self.channel).Detokenize


def services(script: Script) -> list[Service]:
    return [
        Service(
            "voxline.stages.v1.ModelService",
            lambda server: model_pb2_grpc.add_ModelServiceServicer_to_server(Model(script), server),
        ),
        Service(
            "voxline.stages.v1.LlmService",
            lambda server: llm_pb2_grpc.add_LlmServiceServicer_to_server(Llm(script), server),
        ),
        Service(
            "voxline.stages.v1.DetokenizerService",
            lambda server: detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(Detokenizer(script), server),
        ),
    ]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    script, registry = Script(), CollectorRegistry()
    server = StageServer(services(script), ServerSettings(drain_seconds=0, grace_seconds=PATIENCE), registry)
    await server.start()
    async with open_channel(f"127.0.0.1:{server.port}") as channel:
        yield Stage(server, script, registry, channel)
    await server.stop()
