"""The voice of a request -> what the LLM needs to speak in it."""

from dataclasses import replace

from services.gateway.clients.model import Capability, StageModel
from services.gateway.request import DesignedVoice, NamedVoice, ReferenceVoice, Style, VoiceSelection
from services.gateway.stages import Stages
from services.gateway.tokens import ClonedTokens, ContinuedTokens, ReferenceTokens, VoiceTokens
from services.gateway.voices.aliases import ALIASES
from services.gateway.voices.references import References
from services.gateway.voices.speaker_selection import SpeakerSelection
from services.gateway.voices.store import StoredVoice, VoiceStore
from services.runtime.errors import InvalidRequest, Unsupported, VoiceNotFound


def not_found(voice_id: str) -> VoiceNotFound:
    return VoiceNotFound(
        f"There is no voice '{voice_id}'. GET /v1/audio/voices, or ListVoices over gRPC, lists those that exist.",
        field="voice",
    )


class VoiceResolver:
    def __init__(self, stages: Stages, store: VoiceStore) -> None:
        self._stages = stages
        self._store = store
        self._selection = SpeakerSelection(stages, store)
        self._references = References(stages, store)

    async def resolve(self, voice: VoiceSelection, style: Style) -> VoiceTokens:
        """`style` changes a designed voice, whether named or described; a heard one sounds as it was heard.

        Raises VoiceNotFound, InvalidRequest for a voice of another model, Unsupported, and what the stages raise.
        """
        match voice:
            case DesignedVoice():
                return await self._designed(voice, style)
            case ReferenceVoice(audio, transcript):
                require(self._llm, Capability.CLONE, "clone a voice from reference audio")
                return self._cloned(await self._references.tokens(audio), transcript)
            case NamedVoice(voice_id):
                return await self._named(voice_id or self._llm.default_voice, style)

    async def _named(self, voice_id: str, style: Style) -> VoiceTokens:
        if design := design_of(voice_id, self._llm):
            return await self._designed(design, style)
        stored = await self._store.find(voice_id)
        if stored is None:
            raise not_found(voice_id)
        self._check_model(stored)
        return self._cloned(stored.reference, stored.transcript)

    async def _designed(self, design: DesignedVoice, style: Style) -> VoiceTokens:
        require(self._llm, Capability.DESIGN, "design a voice")
        said = {name: value for name, value in vars(style).items() if value is not None}
        return await self._selection.select(replace(design, **said))

    def _cloned(self, reference: ReferenceTokens, transcript: str) -> VoiceTokens:
        """A transcript helps a model that can use it; any other clones from the sound alone."""
        if transcript.strip() and Capability.CLONE_WITH_TRANSCRIPT in self._llm.capabilities:
            return ContinuedTokens(reference.speaker, reference.codes, transcript)
        return ClonedTokens(reference.speaker)

    def _check_model(self, stored: StoredVoice) -> None:
        served = self._llm.id
        if stored.model_id != served:
            raise InvalidRequest(
                f"Voice '{stored.id}' was cloned with the model '{stored.model_id}', whose tokens mean nothing to "
                f"'{served}'. Delete it and create it again from its reference audio.",
                field="voice",
            )

    @property
    def _llm(self) -> StageModel:
        return self._stages.model().llm


def require(llm: StageModel, capability: Capability, what: str) -> None:
    """Raises Unsupported when the model lacks it."""
    if capability not in llm.capabilities:
        raise Unsupported(f"The model '{llm.id}' cannot {what}.", field="voice")


def design_of(voice_id: str, llm: StageModel) -> DesignedVoice | None:
    """The design behind a built-in voice or an alias; None when the name is neither."""
    built_in = {voice.id: voice.design for voice in llm.built_in_voices}
    return built_in.get(voice_id) or ALIASES.get(voice_id)
