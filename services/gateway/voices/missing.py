"""The error for a voice that there is not: it says which there are."""

from services.contract.model import Capability
from services.gateway.access.principal import current
from services.gateway.stages import Model
from services.gateway.voices.aliases import ALIASES
from services.gateway.voices.store import VoiceStore
from services.runtime.errors import StoreUnavailable, VoiceNotFound
from services.runtime.quoted import quoted

# Of the model's own voices, and of those that are stored.
_MOST = 10


async def not_found(voice_id: str, model: Model, store: VoiceStore) -> VoiceNotFound:
    """Designs are not told: their names are made of what they sound like, and there are many."""
    aliases = ALIASES if model.can(Capability.DESIGN) else ()
    own = [
        voice.id for voice in model.llm.built_in_voices if voice.design is None or voice.id == voice.design.gender.value
    ]
    names = [*aliases, *own[:_MOST], *await _stored(store)]
    return VoiceNotFound(
        f"There is no voice {quoted(voice_id)}. There are {', '.join(names)}; GET /v1/audio/voices, or ListVoices over "
        "gRPC, lists all.",
        field="voice",
    )


async def _stored(store: VoiceStore) -> list[str]:
    try:
        return [voice.id for voice in await store.page("", _MOST, current().owners)]
    except StoreUnavailable:
        return []
