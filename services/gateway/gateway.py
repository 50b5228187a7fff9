"""The gateway itself: requests in, replies out, over the three stages."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from services.gateway.admission import Admission, AdmissionPolicy
from services.gateway.clients.model import Capability
from services.gateway.generation import Generation
from services.gateway.interface import ServedModel
from services.gateway.metrics import GatewayMetrics
from services.gateway.playback import Playback, measured
from services.gateway.reply import Encoding, Reply, Usage
from services.gateway.request import NamedVoice, Output, SpeechRequest, Style, TextPiece, TextStreamRequest
from services.gateway.stages import Stages
from services.gateway.synthesis import Synthesis
from services.gateway.voices.catalogue import VoiceCatalogue
from services.gateway.voices.resolver import VoiceResolver
from services.gateway.voices.store import VoiceStore
from services.runtime.audio import Audio
from services.runtime.errors import ModelNotFound, StageUnavailable, VoxlineError
from services.runtime.streams import peek

logger = logging.getLogger(__name__)

# OpenAI's model names, which stand for the served model.
MODEL_ALIASES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")


@dataclass(frozen=True)
class Limits:
    """`pause_seconds`: silence between segments."""

    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    pause_seconds: float = 0.1


@dataclass(frozen=True)
class Spoken:
    """`real_time`: it is played while it is made, from a text that is complete."""

    audio: AsyncGenerator[Audio, None]
    usage: Usage
    real_time: bool


class Gateway:
    """Owns `stages` and `store`."""

    def __init__(self, stages: Stages, store: VoiceStore, limits: Limits, registry: CollectorRegistry) -> None:
        self._stages = stages
        self._store = store
        self._metrics = GatewayMetrics(registry)
        self._admission = Admission(limits.admission)
        self._resolver = VoiceResolver(stages, store)
        generation = Generation(stages, self._metrics)
        self._synthesis = Synthesis(stages, self._resolver, generation, limits.pause_seconds)
        self._draining = False
        self.voices = VoiceCatalogue(stages, store)

    async def start(self) -> None:
        await self._store.start()
        self._stages.start()
        self._first_selection = asyncio.create_task(self._select_default_voice())

    async def stop(self) -> None:
        self._first_selection.cancel()
        await asyncio.gather(self._first_selection, return_exceptions=True)
        await self._stages.stop()
        await self._store.stop()

    def drain(self) -> None:
        self._draining = True

    def ready(self) -> tuple[str, ...]:
        draining = ("The gateway is shutting down.",) if self._draining else ()
        return (*draining, *self._stages.reasons())

    def models(self) -> tuple[ServedModel, ...]:
        aliases = tuple(ServedModel(name, alias=True) for name in MODEL_ALIASES)
        try:
            return (ServedModel(self._stages.model().id), *aliases)
        except StageUnavailable:
            return aliases

    async def speak(self, request: SpeechRequest) -> Reply:
        usage = Usage()
        spoken = Spoken(self._synthesis.speak(request, usage), usage, real_time=not request.output.whole)
        return await self._reply(request.model, request.output, spoken)

    async def speak_stream(self, request: TextStreamRequest, pieces: AsyncGenerator[TextPiece, None]) -> Reply:
        usage = Usage()
        spoken = Spoken(self._synthesis.speak_stream(request, pieces, usage), usage, real_time=False)
        return await self._reply(request.model, request.output, spoken)

    async def _reply(self, model: str, output: Output, spoken: Spoken) -> Reply:
        with self._metrics.refused():
            served = self._stages.model()
            if model not in ("", served.id, *MODEL_ALIASES):
                raise ModelNotFound(f"There is no model '{model}'; '{served.id}' is served.", field="model")
            encoding = Encoding(output, served.sample_rate)
        chunks = await peek(self._chunks(encoding, spoken))
        return Reply(output.encoding, encoding.media_type, encoding.sample_rate, chunks, spoken.usage)

    async def _chunks(self, encoding: Encoding, spoken: Spoken) -> AsyncGenerator[bytes, None]:
        playback = Playback(time.monotonic())
        with self._metrics.ended():
            async with (
                self._admission.admitted(playback, spoken.real_time),
                aclosing(encoding.chunks(measured(spoken.audio, playback, self._metrics), spoken.usage)) as chunks,
            ):
                async for chunk in chunks:
                    yield chunk

    async def _select_default_voice(self) -> None:
        """So that the first request does not wait for it."""
        await self._stages.until(lambda: not self._stages.reasons())
        if Capability.DESIGN in self._stages.model().llm.capabilities:
            try:
                await self._resolver.resolve(NamedVoice(""), Style())
            except VoxlineError as exc:
                logger.warning("the default voice has no speaker yet: %s", exc.message)
