"""The voice resource as every surface shows it."""

from dataclasses import dataclass
from datetime import datetime

from services.gateway.request import DesignedVoice


@dataclass(frozen=True)
class VoiceResource:
    """`design` is None for a cloned voice; `created_at` (UTC) is set for a stored one only."""

    id: str
    display_name: str
    design: DesignedVoice | None = None
    transcript: str = ""
    created_at: datetime | None = None
    built_in: bool = False
