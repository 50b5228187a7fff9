"""The gateway's process: the gateway, its gRPC server and its HTTP server, started and drained as one."""

import asyncio

from prometheus_client import CollectorRegistry

from services.gateway.access.guard import Guard
from services.gateway.access.key_store import KeyStore
from services.gateway.access.keyring import Keyring
from services.gateway.gateway import Gateway, SpeechOptions
from services.gateway.http.connections import Connections
from services.gateway.http.server import Address, HttpServer
from services.gateway.rest.app import RestOptions, create_app
from services.gateway.rpc.entrance import Entrance
from services.gateway.rpc.model_servicer import ModelServicer
from services.gateway.rpc.speech_servicer import SpeechServicer
from services.gateway.settings import GatewaySettings
from services.gateway.stages import Stages, Targets
from services.gateway.voices.store import VoiceStore
from services.runtime.server import Service, StageServer
from services.runtime.tls import ServerCertificate
from voxline.v1 import model_pb2_grpc, text_to_speech_pb2_grpc


class GatewayProcess:
    """What `run_until_stopped` runs."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        registry = CollectorRegistry()
        targets = Targets(settings.tokenizer, settings.llm, settings.detokenizer)
        stages = Stages(targets, settings.look_ahead_frames, settings.stages_tls, settings.deadlines)
        options = SpeechOptions(
            settings.admission,
            settings.pause_seconds,
            settings.quiet,
            settings.silent_seconds,
            settings.value_limits,
            settings.model_names,
        )
        store = VoiceStore(settings.database_url)
        self.gateway = Gateway(stages, store, options, registry)
        self._keyring = Keyring(KeyStore(store.sessions))
        guard = Guard(self._keyring, settings.api_key, settings.open_reading)
        services = _services(self.gateway, stages)
        self.grpc = StageServer(services, settings, registry, settings.grpc_bounds, Entrance(guard))
        app = create_app(self.gateway, registry, guard, _rest_options(settings))
        connections = Connections(settings.http_limits, registry)
        certificate = None if settings.tls is None else ServerCertificate(settings.tls)
        self.http = HttpServer(app, Address(settings.host, settings.http_port), connections, certificate)

    async def start(self) -> None:
        """Raises OSError or RuntimeError when a port is taken, and the database's errors."""
        await self.gateway.start()
        await self.grpc.start(serving=False)
        self._following = asyncio.create_task(self._follow_readiness())
        try:
            await self.http.start()
        except OSError:
            await self.grpc.stop()  # Or else gRPC complains, at the end, that nobody has.
            raise

    async def set_serving(self, serving: bool) -> None:
        await self._follow_no_more()
        await self.grpc.set_serving(serving)

    async def drain(self) -> None:
        """Turns new callers away on both sides, lets running requests end, then stops."""
        self.gateway.drain()
        await self.set_serving(False)
        await asyncio.sleep(self._settings.drain_seconds)
        await self.stop(self._settings.grace_seconds)

    async def stop(self, grace: float | None = None) -> None:
        await self._follow_no_more()
        await asyncio.gather(self.grpc.stop(grace), self.http.stop(grace or 0.0))
        await self._keyring.stop()
        await self.gateway.stop()

    async def _follow_readiness(self) -> None:
        """gRPC's health says what /readyz says."""
        ready = False
        while True:
            await self.gateway.until_ready_is(not ready)
            ready = not ready
            await self.grpc.set_serving(ready)

    async def _follow_no_more(self) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)


def _services(gateway: Gateway, stages: Stages) -> tuple[Service, Service]:
    speech, model = SpeechServicer(gateway), ModelServicer(stages)
    add_speech = text_to_speech_pb2_grpc.add_TextToSpeechServiceServicer_to_server
    add_model = model_pb2_grpc.add_ModelServiceServicer_to_server
    return (
        Service("voxline.v1.TextToSpeechService", lambda server: add_speech(speech, server)),
        Service("voxline.v1.ModelService", lambda server: add_model(model, server)),
    )


def _rest_options(settings: GatewaySettings) -> RestOptions:
    origins = tuple(origin.strip() for origin in settings.cors_origins.split(",") if origin.strip())
    return RestOptions(origins, settings.body_limits)
