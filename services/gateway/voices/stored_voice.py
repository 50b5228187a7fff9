"""A voice as the store keeps it, and what a list shows of it."""

from dataclasses import dataclass
from datetime import datetime

from services.contract.tokenization import TokenizedRecording
from services.gateway.text.storable import check_text


@dataclass(frozen=True)
class ListedVoice:
    """`created_at` in UTC; `owner` as in StoredVoice."""

    id: str
    display_name: str
    transcript: str
    created_at: datetime
    owner: str = ""


@dataclass(frozen=True)
class StoredVoice:
    """A cloned voice, made with the model `model_id`; `codec_revision` is empty while it is not known.

    `tokens.recording` is kept where a voice that is added has one; a voice that is found comes without. `created_at`
    in UTC. `owner`: of the key that it was made with; empty where there were no keys.
    """

    id: str
    display_name: str
    model_id: str
    codec_revision: str
    tokens: TokenizedRecording
    transcript: str
    audio_sha256: str
    created_at: datetime
    owner: str = ""

    def __post_init__(self) -> None:
        check_text(self.id, "voice_id")
        check_text(self.display_name, "display_name")
        check_text(self.transcript, "transcript")
