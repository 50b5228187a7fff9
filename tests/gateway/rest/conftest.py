"""A gateway that replays a script, behind a real HTTP server on a free port."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.gateway.access.guard import Guard
from services.gateway.access.keyring import Known
from services.gateway.admission import AdmissionPolicy
from services.gateway.gateway import Gateway, SpeechOptions
from services.gateway.http.connections import Connections
from services.gateway.http.limits import HttpLimits
from services.gateway.http.server import Address, HttpServer
from services.gateway.interface import ModelName
from services.gateway.limits import ValueLimits
from services.gateway.reply import Reply, Usage
from services.gateway.request import SpeechRequest, TextPiece, TextStreamRequest
from services.gateway.rest.app import RestOptions, create_app
from services.gateway.stages import Stages
from services.gateway.voices.store import VoiceStore
from services.gateway.voices.voice import VoicePage, VoiceResource
from services.runtime import request_context
from services.runtime.errors import InvalidRequest, VoiceExists, VoiceNotFound
from services.runtime.quoted import quoted
from services.runtime.streams import peek

from ..conftest import StageDoubles

Step = bytes | Exception | asyncio.Event
# The longest that anything is waited for, in seconds; far above what it takes.
PATIENCE = 60.0


@dataclass
class ScriptedVoices:
    """In memory; `error` is raised by `create` in place of storing."""

    stored: dict[str, VoiceResource] = field(default_factory=dict)
    samples: dict[str, bytes] = field(default_factory=dict)
    error: Exception | None = None

    async def list(self, after: str = "", limit: int = 1000) -> VoicePage:
        voices = self.all()
        first = next((place + 1 for place, voice in enumerate(voices) if voice.id == after), 0)
        given = voices[first : first + limit]
        return VoicePage(given, given[-1].id if first + limit < len(voices) else "")

    def all(self) -> tuple[VoiceResource, ...]:
        built_in = VoiceResource("female", "Female", built_in=True)
        alias = VoiceResource("alloy", "Alloy", built_in=True, alias_of="female")
        return (built_in, alias, *self.stored.values())

    async def get(self, voice_id: str) -> VoiceResource:
        for voice in self.all():
            if voice.id == voice_id:
                return voice
        raise VoiceNotFound(f"There is no voice {quoted(voice_id)}.", field="voice")

    async def create(self, voice_id: str, display_name: str, audio: bytes, transcript: str) -> VoiceResource:
        if self.error is not None:
            raise self.error
        if not audio:
            raise InvalidRequest("The reference audio is empty.", field="audio")
        voice = VoiceResource(
            voice_id or display_name.lower(), display_name, None, transcript, datetime(2026, 1, 2, tzinfo=UTC)
        )
        if voice.id in self.stored:
            raise VoiceExists(f"There is a voice '{voice.id}' already.", field="voice_id")
        self.stored[voice.id] = voice
        self.samples[voice.id] = audio
        return voice

    async def delete(self, voice_id: str) -> str:
        if self.stored.pop(voice_id, None) is None:
            raise VoiceNotFound(f"There is no voice {quoted(voice_id)}.", field="voice")
        return voice_id


@dataclass
class ScriptedGateway:
    """`script`: what a reply does in order: give bytes, raise, or wait."""

    script: Sequence[Step] = (b"one", b"two")
    voices: ScriptedVoices = field(default_factory=ScriptedVoices)
    limits: ValueLimits = field(default_factory=ValueLimits)
    reasons: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    requests: list[SpeechRequest] = field(default_factory=list)
    contexts: list[request_context.RequestContext | None] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def drain(self) -> None:
        self.reasons = ("draining",)

    def ready(self) -> tuple[str, ...]:
        return self.reasons

    def degraded(self) -> tuple[str, ...]:
        return self.lacks

    def models(self) -> tuple[ModelName, ...]:
        return (ModelName("voxline-small"), ModelName("org/other"), ModelName("tts-1", alias=True))

    async def speak(self, request: SpeechRequest) -> Reply:
        self.limits.check_speech(request)
        self.requests.append(request)
        self.contexts.append(request_context.current())
        usage = Usage()
        output = request.output
        chunks = await peek(self._play(usage))
        size = sum(len(step) for step in self.script if isinstance(step, bytes)) if output.whole else None
        return Reply(output.encoding, f"audio/{output.encoding}", output.sample_rate or 16_000, chunks, usage, size)

    async def speak_stream(self, text_stream: TextStreamRequest, pieces: AsyncGenerator[TextPiece, None]) -> Reply:
        raise AssertionError("no route dictates")

    async def _play(self, usage: Usage) -> AsyncGenerator[bytes, None]:
        try:
            for step in self.script:
                self.begun.set()
                if isinstance(step, bytes):
                    yield step
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    raise step
            usage.input_tokens, usage.output_tokens = 12, 30
        finally:
            self.closed.set()


class NoKeys:
    """In a database without any."""

    async def known(self) -> Known:
        return Known({}, guarded=False, current=True)


@asynccontextmanager
async def _serve(
    gateway: ScriptedGateway, registry: CollectorRegistry, guard: Guard, options: RestOptions | None, limits: HttpLimits
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(gateway, registry, guard, options)
    server = HttpServer(app, Address("127.0.0.1", 0), Connections(limits, registry))
    await server.start()
    url = f"http://127.0.0.1:{server.port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
            yield client
    finally:
        await server.stop(0)


@pytest.fixture
def gateway() -> ScriptedGateway:
    return ScriptedGateway()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def serve(gateway: ScriptedGateway, registry: CollectorRegistry) -> AsyncIterator[Callable[..., object]]:
    """Serves the scripted gateway with the given options; gives a client for it."""
    async with AsyncExitStack() as stack:

        async def start(
            options: RestOptions | None = None, limits: HttpLimits | None = None, api_key: str = ""
        ) -> httpx.AsyncClient:
            guard = Guard(NoKeys(), api_key)
            return await stack.enter_async_context(_serve(gateway, registry, guard, options, limits or HttpLimits()))

        yield start


@pytest.fixture
async def client(serve: Callable[..., object]) -> httpx.AsyncClient:
    return await serve()


@pytest.fixture
def connect(serve):
    """Sends something to a server of the given limits; gives what it reads and writes."""
    writers = []

    async def open_one(client, sent=b""):
        url = client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writers.append(writer)
        writer.write(sent)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()


async def ended(reader) -> bytes:
    """All that comes until the server closes."""
    came = b""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            while piece := await reader.read(2**16):
                came += piece
    return came


@pytest.fixture
async def real_gateway(doubles: StageDoubles, tmp_path: Path, registry: CollectorRegistry) -> AsyncIterator[Gateway]:
    """Over doubles of the stages. A module puts it in place of the scripted one."""
    stages, store = Stages(doubles.targets, None), VoiceStore(f"sqlite:///{tmp_path}/voices.db")
    gateway = Gateway(stages, store, SpeechOptions(AdmissionPolicy(2), 0.0), registry)
    await gateway.start()
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: not stages.reasons())
    yield gateway
    await gateway.stop()
