"""The voice resource as every surface shows it."""

from dataclasses import dataclass
from datetime import datetime

from services.gateway.speech import DesignedVoice


@dataclass(frozen=True)
class Voice:
    """`design` is set for a voice that is described, None for a cloned one; `created_at` (UTC) only for a stored one."""

    id: str
    display_name: str
    design: DesignedVoice | None = None
    transcript: str = ""
    created_at: datetime | None = None
    built_in: bool = False
