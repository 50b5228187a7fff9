"""Who speaks a designed voice. A design only says what a speaker is like; the LLM makes up one, which is then kept, so
that the voice is the same in every segment, in every request, in every gateway on the same store and after a restart.

The speaker is selected ahead of the speech, from fixed words and a fixed seed: what a request says, and its seed, have
no part in it, so equal requests sound equal whoever came first.
"""

import asyncio
from contextlib import aclosing

from services.contract.design import DesignedVoice
from services.contract.generation import GenerationRequest, MadeUpVoice
from services.contract.model import Revision
from services.contract.sampling import Sampling
from services.contract.speaker import Speaker
from services.gateway.metrics import GatewayMetrics
from services.gateway.replacement import Replacement
from services.gateway.reply import Usage
from services.gateway.stages import Model, Stages
from services.gateway.voices.store import VoiceStore
from services.runtime.errors import GenerationFailed, VoxlineError

_WORDS = "Hello."
# A model may fail to write a whole speaker; then another seed may do.
_SEEDS = (0, 1, 2)


class SpeakerSelection:
    def __init__(self, stages: Stages, store: VoiceStore, metrics: GatewayMetrics) -> None:
        self._stages = stages
        self._store = store
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        # A speaker that is kept stays the same, so the store is asked once; there are as many as there are designs.
        self._known: dict[tuple[str, Revision, DesignedVoice], MadeUpVoice] = {}

    async def select(self, design: DesignedVoice, model: Model) -> MadeUpVoice:
        """Raises what the LLM raises."""
        key = (model.id, model.revision, design)
        if known := self._known.get(key):
            return known
        speaker = await self._store.designed_speaker(*key)
        if speaker is None:
            async with self._one_at_a_time:
                speaker = await self._store.designed_speaker(*key) or await self._first(design, model)
        self._known[key] = MadeUpVoice(design, speaker)
        return self._known[key]

    async def _first(self, design: DesignedVoice, model: Model) -> Speaker:
        """Another gateway on the same store may be faster: then its speaker is kept, here too."""
        speaker = await self._made_up(design, model)
        return await self._store.keep_designed_speaker(model.id, model.revision, design, speaker)

    async def _made_up(self, design: DesignedVoice, model: Model) -> Speaker:
        replacement = Replacement("llm", self._stages, self._metrics, Usage(), begun=False)
        for seed in _SEEDS[:-1]:
            try:
                return await self._attempt(design, seed, model, replacement)
            except GenerationFailed:
                if replacement.exhausted:
                    raise
        return await self._attempt(design, _SEEDS[-1], model, replacement)

    async def _attempt(self, design: DesignedVoice, seed: int, model: Model, replacement: Replacement) -> Speaker:
        """From the start on another replica where one is lost."""
        while True:
            try:
                return await self._named(design, seed, model)
            except VoxlineError as exc:
                await replacement.after(exc)

    async def _named(self, design: DesignedVoice, seed: int, model: Model) -> Speaker:
        """The first thing that a generation tells; the rest of it is cancelled."""
        request = GenerationRequest(
            text=_WORDS, voice=MadeUpVoice(design), sampling=Sampling(seed=seed), revision=model.revision
        )
        async with aclosing(self._stages.llm.generate(request)) as progresses:
            async for progress in progresses:
                if progress.speaker is not None:
                    return progress.speaker
                if progress.frames is not None or progress.finish is not None:
                    break
        raise GenerationFailed("The model named no speaker for a designed voice.")
