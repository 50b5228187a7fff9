"""What every surface uses: speech, voices, models, readiness."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from services.gateway.reply import Reply
from services.gateway.speech import Dictation, Piece, SpeechRequest
from services.gateway.voices.voice import Voice


@dataclass(frozen=True)
class ServedModel:
    """A model name that requests may use; `alias` when it stands for the served one under another system's name."""

    id: str
    alias: bool = False


class Voices(Protocol):
    """Raises VoiceNotFound, VoiceExists, InvalidRequest, and the tokenizer's own errors from `create`."""

    async def list(self) -> tuple[Voice, ...]:
        """Built-in voices, then stored ones by id. Aliases are left out."""

    def aliases(self) -> tuple[Voice, ...]:
        """OpenAI's voice names; `get` and requests take them too. Empty when the model cannot design voices."""

    async def get(self, voice_id: str) -> Voice: ...

    async def create(self, voice_id: str, display_name: str, audio: bytes, transcript: str) -> Voice:
        """`voice_id` may be empty: it is made from the display name, or at random when that is empty too."""

    async def delete(self, voice_id: str) -> None: ...


class Gateway(Protocol):
    """One per process. `start` returns at once; stages that are not up yet only keep it from being ready."""

    @property
    def voices(self) -> Voices: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def drain(self) -> None:
        """From now on not ready; what runs goes on."""

    def ready(self) -> tuple[str, ...]:
        """Why it is not ready, for people; empty when it is."""

    def models(self) -> tuple[ServedModel, ...]:
        """The served model, then aliases. Only the aliases until the stages have answered."""

    async def speak(self, request: SpeechRequest) -> Reply:
        """Returns with the first bytes made. Raises every error that comes before them as itself."""

    async def dictate(self, dictation: Dictation, pieces: AsyncGenerator[Piece, None]) -> Reply:
        """As `speak`, for a text that is still being written; owns `pieces`. Each sentence is spoken once complete."""
