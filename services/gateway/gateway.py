"""The gateway itself: requests in, replies out, over the three stages."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from services.gateway.access.allowance import Allowance
from services.gateway.access.principal import EVERYBODY, current, entered
from services.gateway.admission import Admission, AdmissionPolicy, Slot
from services.gateway.decoding import Decoding
from services.gateway.generation import Generation
from services.gateway.interface import ModelName
from services.gateway.limits import ValueLimits
from services.gateway.metrics import GatewayMetrics
from services.gateway.model_names import ModelNames
from services.gateway.playback import Playback, measured
from services.gateway.reply import Encoding, Reply, Usage
from services.gateway.request import NamedVoice, Output, SpeechRequest, Style, TextPiece, TextStreamRequest
from services.gateway.stages import Model, Stages
from services.gateway.synthesis import Pauses, Synthesis
from services.gateway.voices.catalogue import VoiceCatalogue
from services.gateway.voices.resolver import VoiceResolver
from services.gateway.voices.store import VoiceStore
from services.runtime.audio import Audio
from services.runtime.errors import StageUnavailable, StoreUnavailable, VoxlineError
from services.runtime.streams import peek, within
from services.runtime.turns import Turns

logger = logging.getLogger(__name__)

# How often a database that is away is asked again.
_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class SpeechOptions:
    """What an operator may choose. `pause_seconds`: silence between segments. `quiet_seconds`: who writes a text stream
    and says nothing for so long has probably ended the sentence; None: nobody has. `silent_seconds`: then
    the stream is ended.
    """

    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    pause_seconds: float = 0.1
    quiet_seconds: float | None = 0.3
    silent_seconds: float = 600.0
    limits: ValueLimits = field(default_factory=ValueLimits)
    model_names: ModelNames = field(default_factory=ModelNames)


@dataclass(frozen=True)
class Spoken:
    """`admitted`: with a slot, while it is spoken."""

    audio: AsyncGenerator[Audio, None]
    usage: Usage
    playback: Playback
    admitted: AbstractAsyncContextManager[Slot]


class Gateway:
    """Owns `stages` and `store`."""

    def __init__(self, stages: Stages, store: VoiceStore, options: SpeechOptions, registry: CollectorRegistry) -> None:
        self._stages = stages
        self._turns = Turns()
        self._store = store
        self._metrics = GatewayMetrics(registry)
        self._admission = Admission(options.admission)
        self._resolver = VoiceResolver(stages, store, self._metrics)
        generation, decoding = Generation(stages, self._metrics), Decoding(stages, self._metrics)
        pauses = Pauses(options.pause_seconds, options.quiet_seconds)
        self._synthesis = Synthesis(stages, self._resolver, generation, decoding, pauses, self._turns)
        self._metrics.database_up.set_function(lambda: not store.problem)
        self._silent_seconds = options.silent_seconds
        self._draining = False
        self.limits = options.limits
        self._model_names = options.model_names
        self._adopted: Model | None = None
        self.voices = VoiceCatalogue(stages, store, options.limits)

    async def start(self) -> None:
        await self._store.start()
        self._stages.start()
        self._taking_up = asyncio.create_task(self._take_up_models())

    async def stop(self) -> None:
        self._taking_up.cancel()
        await asyncio.gather(self._taking_up, return_exceptions=True)
        await self._stages.stop()
        await self._store.stop()

    def drain(self) -> None:
        self._draining = True
        self._stages.drain()

    def ready(self) -> tuple[str, ...]:
        draining = ("The gateway is shutting down.",) if self._draining else ()
        adopting = ("The stored voices are being looked through.",) if self._adopted is None else ()
        return (*draining, *(self._stages.reasons() or adopting))

    async def until_ready_is(self, ready: bool) -> None:
        await self._stages.until(lambda: (not self.ready()) is ready)

    def degraded(self) -> tuple[str, ...]:
        return (self._store.problem,) if self._store.problem else ()

    def models(self) -> tuple[ModelName, ...]:
        aliases = self._model_names.all()
        try:
            return (ModelName(self._stages.model().id), *aliases)
        except StageUnavailable:
            return aliases

    async def speak(self, request: SpeechRequest) -> Reply:
        with self._metrics.refused():
            self.limits.check_speech(request)
        usage = Usage.of(request.sampling)
        playback = Playback(time.monotonic())
        admitted = self._admission.admitted(playback, real_time=not request.output.whole)
        spoken = Spoken(self._synthesis.speak(request, usage), usage, playback, admitted)
        with current().allowance.characters(sum(len(turn.text) for turn in request.turns)):
            return await self._reply(request.model, request.output, spoken)

    async def speak_stream(self, request: TextStreamRequest, pieces: AsyncGenerator[TextPiece, None]) -> Reply:
        with self._metrics.refused():
            self.limits.check_text_stream(request)
        usage = Usage.of(request.sampling)
        playback = Playback(time.monotonic())
        slot = self._admission.slot(playback)
        timely = within(self.limits.checked(pieces), self._silent_seconds)
        audio = self._synthesis.speak_stream(request, _counted(timely, current().allowance), usage, slot)
        spoken = Spoken(audio, usage, playback, self._admission.text_stream(slot))
        return await self._reply(request.model, request.output, spoken)

    async def _reply(self, model: str, output: Output, spoken: Spoken) -> Reply:
        with self._metrics.refused():
            served = self._stages.model()
            self._model_names.check(model, served.id)
            encoding = Encoding(output, served.sample_rate, self._turns)
        chunks = await peek(self._chunks(encoding, spoken))
        return Reply(output.encoding, encoding.media_type, encoding.sample_rate, chunks, spoken.usage, encoding.size)

    async def _chunks(self, encoding: Encoding, spoken: Spoken) -> AsyncGenerator[bytes, None]:
        audio = measured(spoken.audio, spoken.playback, self._metrics)
        with self._metrics.ended():
            async with spoken.admitted as slot, aclosing(encoding.chunks(audio, spoken.usage)) as chunks:
                async for chunk in chunks:
                    with slot.handing_on():
                        yield chunk
                    await slot.take()

    async def _take_up_models(self) -> None:
        """What was stored before revisions were known becomes of the first that is served under its model's name, and
        the default voice gets its speaker before a request needs it.
        """
        with entered(EVERYBODY):
            await self._take_up_each_model()

    async def _take_up_each_model(self) -> None:
        while True:
            await self._stages.until(lambda: not self._stages.reasons() and self._stages.model() != self._adopted)
            model = self._stages.model()
            try:
                await self._adopt(model)
            except (StoreUnavailable, SQLAlchemyError) as exc:
                logger.warning("the stored voices cannot be looked through: %s", exc)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                continue
            if model.llm.default_voice:
                try:
                    await self._resolver.resolve(NamedVoice(""), Style(), model)
                except VoxlineError as exc:
                    logger.warning("the default voice has no speaker yet: %s", exc.message)

    async def _adopt(self, model: Model) -> None:
        """Nothing is adopted for a model that does not tell what it is made of."""
        if model.revision.codec and model.revision.llm:
            await self._store.adopt(model.id, model.revision)
        self._adopted = model
        self._stages.look_again()


async def _counted(pieces: AsyncGenerator[TextPiece, None], allowance: Allowance) -> AsyncGenerator[TextPiece, None]:
    """Owns `pieces`. Raises RateLimited at the piece that is too much."""
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, str):
                with allowance.characters(len(piece)):
                    pass
            yield piece
