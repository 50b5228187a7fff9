"""What a model line knows and nobody else: its prompts, what its output means, and what it can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from services.llm.engines.engine import EngineModel
from services.llm.events import CodesDrawn, SpeakerNamed
from services.llm.voices import Design, Speaker, Voice


class Capability(Enum):
    CLONE = "clone"
    CLONE_WITH_TRANSCRIPT = "clone with transcript"
    DESIGN = "design"


@dataclass(frozen=True)
class Description:
    """What GetModel tells. `voices`: the built-in ones, `default_voice` among them by name."""

    family: str
    codebook_size: int
    global_token_count: int
    global_codebook_size: int
    capabilities: tuple[Capability, ...]
    voices: tuple[Design, ...]
    default_voice: str
    max_segment_characters: int


@dataclass(frozen=True)
class Limits:
    """Generated tokens of one segment. `shortest`: what any speech needs; `usual_least` and `usual_most`: what its text
    may need; `most`: what the context has room for.
    """

    shortest: int
    usual_least: int
    usual_most: int
    most: int


@dataclass(frozen=True)
class Prompt:
    """`speaker` is None where the model has yet to make one up; `prelude`: tokens drawn before the first code."""

    ids: tuple[int, ...]
    speaker: Speaker | None
    limits: Limits
    prelude: int


class Reader(Protocol):
    """Ids of one generation -> events, chunk by chunk. Raises GenerationFailed on output that is no speech."""

    def read(self, ids: Sequence[int]) -> list[SpeakerNamed | CodesDrawn]: ...

    def end(self) -> None:
        """Checks, after the last id, that nothing is missing."""


class Family(Protocol):
    """One loaded checkpoint of the line."""

    @property
    def description(self) -> Description: ...

    @property
    def engine_model(self) -> EngineModel: ...

    @property
    def stop_ids(self) -> frozenset[int]: ...

    def prompt(self, text: str, voice: Voice) -> Prompt:
        """Raises InvalidRequest or TooLarge, naming the field of GenerateRequest, and Unsupported."""

    def reader(self, prompt: Prompt) -> Reader: ...
