"""What each method of each door demands of its caller: the one list. Tests hold it against the protos, the routes and
the OpenAPI document.
"""

from collections.abc import Mapping
from enum import Enum, auto

from services.gateway.access.key import Scope


class Open(Enum):
    """Demands that no scope meets. PROBE: nothing, ever; orchestrators send no keys. READING: nothing, unless a setting
    closes it; Open WebUI reads lists without a key. KEY: any key.
    """

    PROBE = auto()
    READING = auto()
    KEY = auto()


Demand = Open | Scope

_SPEECH = "/voxline.v1.TextToSpeechService"
_HEALTH = "/grpc.health.v1.Health"

# Whatever else there may be one day: for admins.
RPC: Mapping[str, Demand] = {
    f"{_SPEECH}/Synthesize": Scope.SPEAK,
    f"{_SPEECH}/SynthesizeBody": Scope.SPEAK,
    f"{_SPEECH}/StreamingSynthesize": Scope.SPEAK,
    f"{_SPEECH}/ListVoices": Open.READING,
    f"{_SPEECH}/GetVoice": Open.READING,
    f"{_SPEECH}/CreateVoice": Scope.VOICES,
    f"{_SPEECH}/UpdateVoice": Scope.VOICES,
    f"{_SPEECH}/DeleteVoice": Scope.VOICES,
    "/voxline.v1.ModelService/GetModel": Open.READING,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Open.READING,
    f"{_HEALTH}/Check": Open.PROBE,
    f"{_HEALTH}/List": Open.PROBE,
    f"{_HEALTH}/Watch": Open.PROBE,
}

# By method and template of the route. OPTIONS of any path is a probe; a path that is nowhere is found out by a key.
REST: Mapping[tuple[str, str], Demand] = {
    ("POST", "/v1/audio/speech"): Scope.SPEAK,
    ("GET", "/v1/audio/voices"): Open.READING,
    ("GET", "/v1/audio/voices/{voice_id:path}"): Open.READING,
    ("POST", "/v1/audio/voices"): Scope.VOICES,
    ("DELETE", "/v1/audio/voices/{voice_id:path}"): Scope.VOICES,
    ("GET", "/v1/audio/voice_consents"): Scope.VOICES,
    ("POST", "/v1/audio/voice_consents"): Scope.VOICES,
    ("GET", "/v1/audio/voice_consents/{consent_id}"): Scope.VOICES,
    ("POST", "/v1/audio/voice_consents/{consent_id}"): Scope.VOICES,
    ("DELETE", "/v1/audio/voice_consents/{consent_id}"): Scope.VOICES,
    ("GET", "/v1"): Open.READING,
    ("GET", "/v1/models"): Open.READING,
    ("GET", "/v1/models/{model_id:path}"): Open.READING,
    ("GET", "/v1/audio/models"): Open.READING,
    ("GET", "/"): Open.READING,
    ("GET", "/docs"): Open.READING,
    ("GET", "/openapi.json"): Open.READING,
    ("GET", "/health"): Open.PROBE,
    ("GET", "/healthz"): Open.PROBE,
    ("GET", "/readyz"): Open.PROBE,
}
