"""Voices as resources: list, get, create, update, delete."""

import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate

from services.contract.model import BuiltInVoice, Capability
from services.gateway.access.principal import current
from services.gateway.limits import ValueLimits
from services.gateway.request import NamedVoice, ReferenceVoice
from services.gateway.stages import Model, Stages
from services.gateway.text.normalise import is_visible, normalise
from services.gateway.voices.aliases import ALIAS_VOICES
from services.gateway.voices.missing import not_found
from services.gateway.voices.references import References, audio_hash, check_continued
from services.gateway.voices.resolver import built_in_voice, require
from services.gateway.voices.store import VoiceStore
from services.gateway.voices.stored_voice import ListedVoice, StoredVoice
from services.gateway.voices.voice import VoicePage, VoiceResource
from services.runtime.errors import InvalidRequest, PermissionDenied, TooLarge, VoiceExists
from services.runtime.quoted import quoted

_ID_FORM = re.compile(r"[a-z0-9_-]{1,64}")
# Of a page of voices.
_DEFAULT_SIZE, _MAX_SIZE = 100, 1000
# Of a page, below the 4 MiB that gRPC's clients accept; of a voice beside its texts.
_PAGE_BYTES, _VOICE_BYTES = 3 * 2**20, 400
# A page token is the place of the last voice that was given: these, and its id.
_ALIAS, _BUILT_IN, _STORED, _DESIGN = "a", "b", "c", "d"


class VoiceCatalogue:
    """As the caller of the request may see it: another's voice is not there, but its id is taken. Raises
    StageUnavailable while the model is not known.
    """

    def __init__(self, stages: Stages, store: VoiceStore, limits: ValueLimits) -> None:
        self._stages = stages
        self._store = store
        self._limits = limits
        self._references = References(stages, store)

    async def page(self, size: int = 0, token: str = "") -> VoicePage:
        """OpenAI's names, the model's own voices, stored ones, then designs, each by id. `size` 0 is 100, above
        1000 is 1000; a page ends earlier where it would be too large for a message. Voices that come or go between two
        pages neither repeat nor hide others. Raises InvalidRequest.
        """
        if token and token[0] not in (_ALIAS, _BUILT_IN, _STORED, _DESIGN):
            raise InvalidRequest("This page token is none of ours.", field="page_token")
        limit = min(size or _DEFAULT_SIZE, _MAX_SIZE)
        model = self._stages.model()
        places = [(_place(voice), _of_model(voice)) for voice in model.llm.built_in_voices]
        places += [(_ALIAS + voice.id, voice) for voice in _aliases(model)]
        behind = sorted((each for each in places if each[0] > token), key=lambda each: each[0])
        found = [each for each in behind if each[0] < _STORED]
        if len(found) <= limit and token < _DESIGN:
            after = token.removeprefix(_STORED) if token.startswith(_STORED) else ""
            stored = await self._store.page(after, limit + 1 - len(found), current().owners)
            found += [(_STORED + voice.id, _listed(voice)) for voice in stored]
        found += [each for each in behind if each[0] > _DESIGN]
        given = found[: _fitting([voice for _, voice in found[:limit]])]
        return VoicePage(tuple(voice for _, voice in given), given[-1][0] if len(found) > len(given) else "")

    async def list(self, after: str = "", limit: int = _MAX_SIZE) -> VoicePage:
        """The voices behind the one of id `after`."""
        if not after:
            return await self.page(limit)
        model = self._stages.model()
        for voice in model.llm.built_in_voices:
            if voice.id == after:
                return await self.page(limit, _place(voice))
        known = after in (voice.id for voice in _aliases(model))
        return await self.page(limit, (_ALIAS if known else _STORED) + after)

    async def get(self, voice_id: str) -> VoiceResource:
        """Raises VoiceNotFound, InvalidRequest."""
        model, wanted = self._stages.model(), _id_of(voice_id)
        for voice in (*map(_of_model, model.llm.built_in_voices), *_aliases(model)):
            if voice.id.casefold() == wanted:
                return voice
        stored = await self._store.find(wanted)
        if stored is None or not current().may_read(stored.owner):
            raise await not_found(voice_id, model, self._store)
        return _resource(stored)

    async def create(self, voice_id: str, display_name: str, audio: bytes, transcript: str) -> VoiceResource:
        """An empty `voice_id` is made from the display name, or at random when that gives none. Raises VoiceExists,
        InvalidRequest for the id or the audio, TooLarge for one voice too many, Unsupported when the model cannot
        clone, and what the tokenizer raises.
        """
        model = self._stages.model()
        require(model, Capability.CLONE, "clone a voice from reference audio")
        reference = ReferenceVoice(audio, self._transcript(transcript))
        name = self._name(display_name)
        chosen = _checked(voice_id or slug(name) or f"voice-{secrets.token_hex(4)}")
        if built_in_voice(chosen, model) or await self._store.owner(chosen) is not None:
            raise VoiceExists(f"There is a voice '{chosen}' already.", field="voice_id")
        await self._check_number()
        tokens = await self._references.recorded(reference.audio, reference.transcript, model)
        stored = StoredVoice(
            id=chosen,
            display_name=name or chosen,
            model_id=model.id,
            codec_revision=model.revision.codec,
            tokens=tokens,
            transcript=reference.transcript,
            audio_sha256=await audio_hash(reference.audio),
            created_at=datetime.now(UTC),
            owner=current().owner,
        )
        await self._store.add(stored)
        return replace(_resource(stored), heard=(tokens.start, tokens.start + tokens.seconds))

    async def update(self, voice_id: str, display_name: str | None, transcript: str | None) -> VoiceResource:
        """What is None stays; an empty display name is the id. Raises VoiceNotFound, InvalidRequest for a voice that
        the model brings along, PermissionDenied.
        """
        voice_id = _id_of(voice_id)
        owner = await self._owner(voice_id, "changed")
        name = None if display_name is None else self._name(display_name) or voice_id
        text = None if transcript is None else self._transcript(transcript)
        if text and (stored := await self._store.find(voice_id)):
            check_continued(stored.tokens, text, self._stages.model())
        listed = await self._store.update(voice_id, name, text, owner)
        if listed is None:
            raise await not_found(voice_id, self._stages.model(), self._store)
        return _listed(listed)

    async def delete(self, voice_id: str) -> str:
        """Its id. Raises VoiceNotFound, InvalidRequest for a voice that the model brings along, PermissionDenied."""
        voice_id = _id_of(voice_id)
        owner = await self._owner(voice_id, "deleted")
        if not await self._store.remove(voice_id, owner):
            raise await not_found(voice_id, self._stages.model(), self._store)
        return voice_id

    async def _check_number(self) -> None:
        """Voices that are made at the same time may come to some more."""
        most, caller = self._limits.voices_per_key, current()
        if most and not caller.is_admin and await self._store.count(caller.owner) >= most:
            raise TooLarge(
                f"This key has {most} voices, the most that are allowed (VOXLINE_GATEWAY_MAX_VOICES_PER_KEY of the "
                "server); delete one first.",
                field="voice_id",
            )

    def _name(self, display_name: str) -> str:
        """As it is stored: on one line, without what nobody sees. Raises InvalidRequest, TooLarge."""
        self._limits.check_name(display_name)
        name = " ".join(normalise(display_name).split())
        if display_name and not is_visible(name):
            raise InvalidRequest("Nothing of the name can be seen.", field="display_name")
        return name

    def _transcript(self, transcript: str) -> str:
        """As it is stored. Raises InvalidRequest, TooLarge."""
        self._limits.check_transcript(transcript)
        return normalise(transcript)

    async def _owner(self, voice_id: str, what: str) -> str:
        """Of a voice that the caller may change."""
        if built_in_voice(voice_id, self._stages.model()):
            raise InvalidRequest(f"Voice '{voice_id}' is built in; it cannot be {what}.", field="voice")
        owner = await self._store.owner(voice_id)
        if owner is None or not current().may_read(owner):
            raise await not_found(voice_id, self._stages.model(), self._store)
        if not current().may_change(owner):
            raise PermissionDenied(f"Voice '{voice_id}' is everybody's; only an admin's key can have it {what}.")
        return owner


def _fitting(voices: Sequence[VoiceResource]) -> int:
    """How many of them a message holds; at least one, where there are any."""
    sizes = accumulate(len(f"{voice.display_name}{voice.transcript}".encode()) + _VOICE_BYTES for voice in voices)
    return max(1, sum(1 for size in sizes if size <= _PAGE_BYTES))


def slug(display_name: str) -> str:
    """The display name as an id: lower case, accents dropped, all else a hyphen; empty when nothing is left."""
    plain = unicodedata.normalize("NFKD", display_name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:64]


def _id_of(name: str) -> str:
    """Of a voice that is stored, whose ids are lower case, or of any other to compare. Raises InvalidRequest."""
    return NamedVoice.parse(name).voice_id.casefold()


def _place(voice: BuiltInVoice) -> str:
    return (_BUILT_IN if voice.design is None else _DESIGN) + voice.id


def _checked(voice_id: str) -> str:
    if not _ID_FORM.fullmatch(voice_id):
        raise InvalidRequest(
            f"{quoted(voice_id)} is no voice id; it must be 1 to 64 of a-z, 0-9, '-' and '_'.", field="voice_id"
        )
    return voice_id


def _resource(voice: StoredVoice) -> VoiceResource:
    return VoiceResource(voice.id, voice.display_name, transcript=voice.transcript, created_at=voice.created_at)


def _listed(voice: ListedVoice) -> VoiceResource:
    return VoiceResource(voice.id, voice.display_name, transcript=voice.transcript, created_at=voice.created_at)


def _of_model(voice: BuiltInVoice) -> VoiceResource:
    return VoiceResource(voice.id, voice.display_name, design=voice.design, built_in=True)


def _aliases(model: Model) -> tuple[VoiceResource, ...]:
    """OpenAI's voice names; none where the model cannot design voices."""
    return ALIAS_VOICES if model.can(Capability.DESIGN) else ()
