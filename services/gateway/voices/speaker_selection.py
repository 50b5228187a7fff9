"""Selects the speaker of a designed voice. A design only describes a speaker: the LLM makes one up, and the store keeps
it, so that the voice is the same in every segment and request, in every gateway on the same store and after a restart.

The speaker is selected ahead of the speech, from fixed words and a fixed seed. It does not depend on the text or the
seed of a request, so equal requests sound equal whichever came first.
"""

import asyncio
from contextlib import aclosing

from services.gateway.request import DesignedVoice, Sampling
from services.gateway.stages import Stages
from services.gateway.tokens import DesignedTokens, SpeakerTokens
from services.gateway.voices.store import VoiceStore
from services.runtime.errors import GenerationFailed

_WORDS = "Hello."
# A model may fail to write a whole speaker; then another seed may do.
_SEEDS = (0, 1, 2)


class SpeakerSelection:
    def __init__(self, stages: Stages, store: VoiceStore) -> None:
        self._stages = stages
        self._store = store
        self._one_at_a_time = asyncio.Lock()
        # A speaker that is kept stays the same, so the store is asked once; there are as many as there are designs.
        self._known: dict[tuple[str, DesignedVoice], DesignedTokens] = {}

    async def select(self, design: DesignedVoice) -> DesignedTokens:
        """Raises what the LLM raises."""
        model_id = self._stages.model().id
        if known := self._known.get((model_id, design)):
            return known
        speaker = await self._store.designed_speaker(model_id, design)
        if speaker is None:
            async with self._one_at_a_time:
                speaker = await self._store.designed_speaker(model_id, design) or await self._first(model_id, design)
        self._known[model_id, design] = DesignedTokens(design, speaker)
        return self._known[model_id, design]

    async def _first(self, model_id: str, design: DesignedVoice) -> SpeakerTokens:
        """Another gateway on the same store may be faster: then its speaker is kept, here too."""
        return await self._store.keep_designed_speaker(model_id, design, await self._made_up(design))

    async def _made_up(self, design: DesignedVoice) -> SpeakerTokens:
        for seed in _SEEDS[:-1]:
            try:
                return await self._attempt(design, seed)
            except GenerationFailed:
                continue
        return await self._attempt(design, _SEEDS[-1])

    async def _attempt(self, design: DesignedVoice, seed: int) -> SpeakerTokens:
        """The first thing that a generation names; the rest of it is cancelled."""
        generation = self._stages.llm.generate(_WORDS, DesignedTokens(design), Sampling(seed=seed))
        async with aclosing(generation) as events:
            speaker = await anext(events)
        assert isinstance(speaker, SpeakerTokens)
        return speaker
