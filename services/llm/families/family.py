"""What a model line knows and nobody else: its prompts, what its output means, and what it can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.contract.frames import FrameFormat
from services.contract.generation import Prefix, Progress, VoiceInput
from services.contract.model import LlmDescription, Revision
from services.contract.speaker import Speaker
from services.llm.engines.engine import EngineModel
from services.llm.sampling import Limits


@dataclass(frozen=True)
class Prompt:
    """`speaker` is None where the model has yet to make one up; `prelude`: tokens drawn before the first frame."""

    ids: tuple[int, ...]
    speaker: Speaker | None
    limits: Limits
    prelude: int


class Reader(Protocol):
    """Ids of one generation -> what they tell, chunk by chunk."""

    def read(self, ids: Sequence[int], last: bool) -> Progress:
        """Without a finish, and perhaps with nothing. `last`: no more ids follow. Raises GenerationFailed on output
        that is no speech.
        """


class Family(Protocol):
    """One loaded checkpoint of the line."""

    @property
    def description(self) -> LlmDescription:
        """Without the engine, which it does not know."""

    @property
    def frames(self) -> FrameFormat: ...

    @property
    def tokens_per_frame(self) -> int: ...

    @property
    def engine_model(self) -> EngineModel: ...

    @property
    def stop_ids(self) -> frozenset[int]: ...

    def revision(self, cache: Path) -> Revision:
        """Of all parts that the checkpoint's folder holds. Reads them where `cache` does not know them yet."""

    def prompt(self, text: str, voice: VoiceInput, language: str = "") -> Prompt:
        """Raises InvalidRequest or TooLarge, naming the field of GenerateConfig, and Unsupported."""

    def drawn(self, prefix: Prefix) -> tuple[int, ...]:
        """All ids of a prefix. Raises InvalidRequest that names `prefix.frames` or `prefix.resume`."""

    def reader(self, prompt: Prompt, drawn: Sequence[int] = ()) -> Reader:
        """`drawn`: ids of a prefix; nothing that they tell is told again. Raises InvalidRequest that names
        `prefix.resume`.
        """
