"""What every surface uses: speech, voices, models, readiness."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from services.gateway.limits import ValueLimits
from services.gateway.reply import Reply
from services.gateway.request import SpeechRequest, TextPiece, TextStreamRequest
from services.gateway.voices.voice import VoicePage, VoiceResource
from services.runtime.errors import VoxlineError


@dataclass(frozen=True)
class ModelName:
    """A model name that requests may use; `alias` when it stands for the served one under another system's name.
    `listed`: whether lists show it.
    """

    id: str
    alias: bool = False
    listed: bool = True

    def is_named(self, name: str) -> bool:
        return self.id.casefold() == name.casefold()


class VoiceResources(Protocol):
    """Ids are the same in upper and lower case, and as `voices/{id}`. Raises VoiceNotFound, VoiceExists,
    InvalidRequest, and the tokenizer's own errors from `create`.
    """

    async def list(self, after: str = "", limit: int = 1000) -> VoicePage:
        """OpenAI's names, the model's own voices, stored ones, then designs, each by id: those behind the one of
        `after`.
        """

    async def page(self, size: int = 0, token: str = "") -> VoicePage:
        """The same by the token of the page before. `size` 0 is 100, above 1000 is 1000."""

    async def get(self, voice_id: str) -> VoiceResource: ...

    async def create(self, voice_id: str, display_name: str, audio: bytes, transcript: str) -> VoiceResource:
        """`voice_id` may be empty: it is made from the display name, or at random when that is empty too."""

    async def update(self, voice_id: str, display_name: str | None, transcript: str | None) -> VoiceResource:
        """What is None stays."""

    async def delete(self, voice_id: str) -> str:
        """Its id."""


class SpeechGateway(Protocol):
    """One per process. `start` returns at once; stages that are not up yet only keep it from being ready."""

    @property
    def limits(self) -> ValueLimits: ...

    @property
    def voices(self) -> VoiceResources: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def drain(self) -> None:
        """From now on not ready; what runs goes on."""

    def ready(self) -> tuple[str, ...]:
        """Why it is not ready, for people; empty when it is."""

    def degraded(self) -> tuple[str, ...]:
        """What it cannot do for now though it is ready, for people; empty when it can do all."""

    def models(self) -> tuple[ModelName, ...]:
        """The served model, then aliases. Only the aliases until the stages have answered."""

    async def speak(self, request: SpeechRequest) -> Reply:
        """Returns with the first bytes made. Raises every error that comes before them as itself."""

    async def speak_stream(self, request: TextStreamRequest, pieces: AsyncGenerator[TextPiece, None]) -> Reply:
        """As `speak`, for a text that is still being written; owns `pieces`. Each sentence is spoken once complete."""


@contextmanager
def renamed_fields(names: Mapping[str, str]) -> Iterator[None]:
    """Raises an error from inside again, with its field called as in `names`, which maps fields of `SpeechRequest` to
    those of the body that the caller sent. A field that is not in `names` keeps its name.
    """
    try:
        yield
    except VoxlineError as exc:
        if exc.field is None or exc.field not in names:
            raise
        raise type(exc)(exc.message, field=names[exc.field], retry_after=exc.retry_after) from exc
