"""Voices as resources: list, get, create, delete."""

import re
import secrets
import unicodedata
from datetime import UTC, datetime

from services.gateway.clients.model import Capability
from services.gateway.request import ReferenceVoice
from services.gateway.stages import Stages
from services.gateway.voices.aliases import ALIAS_VOICES
from services.gateway.voices.references import References, audio_hash
from services.gateway.voices.resolver import design_of, not_found, require
from services.gateway.voices.store import StoredVoice, VoiceStore
from services.gateway.voices.voice import VoiceResource
from services.runtime.errors import InvalidRequest, VoiceExists

_ID_FORM = re.compile(r"[a-z0-9_-]{1,64}")


class VoiceCatalogue:
    """Raises StageUnavailable while the model is not known."""

    def __init__(self, stages: Stages, store: VoiceStore) -> None:
        self._stages = stages
        self._store = store
        self._references = References(stages, store)

    async def list(self) -> tuple[VoiceResource, ...]:
        """Built-in voices, then stored ones by id. Aliases are left out."""
        stored = await self._store.all()
        return (*self._stages.model().llm.built_in_voices, *(_resource(voice) for voice in stored))

    def aliases(self) -> tuple[VoiceResource, ...]:
        """OpenAI's voice names; `get` and requests take them too. Empty when the model cannot design voices."""
        return ALIAS_VOICES if Capability.DESIGN in self._stages.model().llm.capabilities else ()

    async def get(self, voice_id: str) -> VoiceResource:
        """Raises VoiceNotFound."""
        for voice in (*self._stages.model().llm.built_in_voices, *self.aliases()):
            if voice.id == voice_id:
                return voice
        stored = await self._store.find(voice_id)
        if stored is None:
            raise not_found(voice_id)
        return _resource(stored)

    async def create(self, voice_id: str, display_name: str, audio: bytes, transcript: str) -> VoiceResource:
        """An empty `voice_id` is made from the display name, or at random when that gives none. Raises VoiceExists,
        InvalidRequest for the id or the audio, Unsupported when the model cannot clone, and what the tokenizer raises.
        """
        model = self._stages.model()
        require(model.llm, Capability.CLONE, "clone a voice from reference audio")
        reference = ReferenceVoice(audio, transcript.strip())
        name = display_name.strip()
        chosen = _checked(voice_id or slug(name) or f"voice-{secrets.token_hex(4)}")
        if design_of(chosen, model.llm) or await self._store.find(chosen):
            raise VoiceExists(f"There is a voice '{chosen}' already.", field="voice_id")
        stored = StoredVoice(
            id=chosen,
            display_name=name or chosen,
            model_id=model.id,
            reference=await self._references.tokens(reference.audio),
            transcript=reference.transcript,
            audio_sha256=audio_hash(reference.audio),
            created_at=datetime.now(UTC),
        )
        await self._store.add(stored)
        return _resource(stored)

    async def delete(self, voice_id: str) -> None:
        """Raises VoiceNotFound, InvalidRequest for a voice that the model brings along."""
        if design_of(voice_id, self._stages.model().llm):
            raise InvalidRequest(f"Voice '{voice_id}' is built in; it cannot be deleted.", field="voice")
        if not await self._store.remove(voice_id):
            raise not_found(voice_id)


def slug(display_name: str) -> str:
    """The display name as an id: lower case, accents dropped, all else a hyphen; empty when nothing is left."""
    plain = unicodedata.normalize("NFKD", display_name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:64]


def _checked(voice_id: str) -> str:
    if not _ID_FORM.fullmatch(voice_id):
        raise InvalidRequest(
            f"'{voice_id}' is no voice id; it must be 1 to 64 of a-z, 0-9, '-' and '_'.", field="voice_id"
        )
    return voice_id


def _resource(voice: StoredVoice) -> VoiceResource:
    return VoiceResource(voice.id, voice.display_name, transcript=voice.transcript, created_at=voice.created_at)
