"""The voice of a request -> what the LLM needs to speak in it."""

from dataclasses import replace

from services.contract.design import DesignedVoice, Level
from services.contract.generation import HeardVoice, ModelVoice, Turn, VoiceInput
from services.contract.model import BuiltInVoice, Capability
from services.contract.tokenization import TokenizedRecording
from services.gateway.access.principal import current
from services.gateway.metrics import GatewayMetrics
from services.gateway.request import NamedVoice, ReferenceVoice, Style, VoiceSelection
from services.gateway.stages import Model, Stages
from services.gateway.voices.aliases import ALIASES
from services.gateway.voices.missing import not_found
from services.gateway.voices.references import References
from services.gateway.voices.speaker_selection import SpeakerSelection
from services.gateway.voices.store import VoiceStore
from services.runtime.errors import InvalidRequest, Unsupported

# Asked for, and had: "deep" leaves a voice that is deeper.
_SURPASSED = ((Level.LOW, Level.VERY_LOW), (Level.HIGH, Level.VERY_HIGH))


class VoiceResolver:
    def __init__(self, stages: Stages, store: VoiceStore, metrics: GatewayMetrics) -> None:
        self._store = store
        self._selection = SpeakerSelection(stages, store, metrics)
        self._references = References(stages, store)

    def heeded(self, voice: VoiceSelection, style: Style, model: Model) -> Style:
        """What of `style` changes the voice: nothing of one that was heard, and no gender of one that was named."""
        match voice:
            case DesignedVoice():
                return style
            case ReferenceVoice():
                return Style()
            case NamedVoice(voice_id):
                built_in = built_in_voice(voice_id or model.llm.default_voice, model)
                if built_in is None or built_in.design is None:
                    return Style()
                return replace(style, gender=None) if voice_id else style

    async def resolve(self, voice: VoiceSelection, style: Style, model: Model) -> VoiceInput:
        """In the style that is heeded.

        Raises VoiceNotFound, InvalidRequest for a voice of another model, Unsupported, and what the stages raise.
        """
        heeded = self.heeded(voice, style, model)
        match voice:
            case DesignedVoice():
                return await self._designed(voice, heeded, model)
            case ReferenceVoice(audio, transcript):
                require(model, Capability.CLONE, "clone a voice from reference audio")
                return _heard(await self._references.tokens(audio, transcript, model), transcript, model)
            case NamedVoice(voice_id):
                return await self._named(voice_id, heeded, model)

    async def _named(self, voice_id: str, style: Style, model: Model) -> VoiceInput:
        name = voice_id or model.llm.default_voice
        if not name:
            raise InvalidRequest("The model has no default voice; name one.", field="voice")
        if built_in := built_in_voice(name, model):
            if built_in.design is None:
                return ModelVoice(built_in.id)
            return await self._designed(built_in.design, style, model)
        return await self._stored(name, model)

    async def _stored(self, voice_id: str, model: Model) -> VoiceInput:
        stored = await self._store.find(voice_id.lower())
        if stored is None or not current().may_read(stored.owner):
            raise await not_found(voice_id, model, self._store)
        require(model, Capability.CLONE, "clone a voice from reference audio")
        return _heard(await self._references.of_voice(stored, model), stored.transcript, model)

    async def _designed(self, design: DesignedVoice, style: Style, model: Model) -> VoiceInput:
        require(model, Capability.DESIGN, "design a voice")
        said = {name: value for name, value in vars(style).items() if value is not None}
        changes = {name: value for name, value in said.items() if (value, getattr(design, name)) not in _SURPASSED}
        return await self._selection.select(replace(design, **changes), model)


def require(model: Model, capability: Capability, what: str) -> None:
    """Raises Unsupported when the model lacks it."""
    if not model.can(capability):
        raise Unsupported(f"The model '{model.id}' cannot {what}.", field="voice")


def built_in_voice(name: str, model: Model) -> BuiltInVoice | None:
    """The voice of the model behind a name or an alias, in upper or lower case; None when the name is neither."""
    name = name.casefold()
    for voice in model.llm.built_in_voices:
        if voice.id.casefold() == name:
            return voice
    if name in ALIASES and model.can(Capability.DESIGN):
        return BuiltInVoice(name, name.capitalize(), ALIASES[name])
    return None


def _heard(tokens: TokenizedRecording, transcript: str, model: Model) -> HeardVoice:
    """A transcript helps a model that can use it; any other clones from the sound alone."""
    if transcript.strip() and model.can(Capability.CLONE_WITH_TRANSCRIPT):
        return HeardVoice(tokens.speaker, (Turn(transcript, tokens.frames),))
    return HeardVoice(tokens.speaker)
