"""The voice resource as every surface shows it."""

from dataclasses import dataclass, field
from datetime import datetime

from services.contract.design import DesignedVoice


@dataclass(frozen=True)
class VoiceResource:
    """`design` is None for a cloned voice; `created_at` (UTC) is set for a stored one only; `alias_of`: the built-in
    voice that a name of another system stands for; `heard`: where in its recording what counts begins and ends, in
    seconds, of a voice that was just made.
    """

    id: str
    display_name: str
    design: DesignedVoice | None = None
    transcript: str = ""
    created_at: datetime | None = None
    built_in: bool = False
    alias_of: str = ""
    heard: tuple[float, float] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class VoicePage:
    """`next_token` is empty on the last page."""

    voices: tuple[VoiceResource, ...]
    next_token: str
