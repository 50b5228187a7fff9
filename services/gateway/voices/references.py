"""Reference audio -> tokens, once per recording: the same file is not tokenised again, by any gateway."""

import hashlib

from services.gateway.stages import Stages
from services.gateway.tokens import ReferenceTokens
from services.gateway.voices.store import VoiceStore


def audio_hash(audio: bytes) -> str:
    return hashlib.sha256(audio).hexdigest()


class References:
    def __init__(self, stages: Stages, store: VoiceStore) -> None:
        self._stages = stages
        self._store = store

    async def tokens(self, audio: bytes) -> ReferenceTokens:
        """Raises what the tokenizer raises."""
        model_id, digest = self._stages.model().id, audio_hash(audio)
        if known := await self._store.reference(model_id, digest):
            return known
        made = await self._stages.tokenizer.tokenize(audio)
        await self._store.keep_reference(model_id, digest, made)
        return made
