"""What runs an LLM: token ids in, token ids out. It knows no text, no voice and no family."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from prometheus_client import Metric

from services.llm.sampling import ResolvedSampling
from services.runtime.errors import InvalidRequest, TooLarge


@dataclass(frozen=True)
class EngineModel:
    """A checkpoint as an engine needs it.

    directory: holds config.json and *.safetensors; vocabulary: number of logits; context: most tokens of prompt and
    output together; allowed: ids that may be drawn, sorted; every other id in [0, vocabulary) only reads.
    """

    directory: Path
    vocabulary: int
    context: int
    allowed: tuple[int, ...]

    @cached_property
    def _drawable(self) -> frozenset[int]:
        return frozenset(self.allowed)

    def __post_init__(self) -> None:
        assert self.allowed, "a model that may draw nothing"
        assert list(self.allowed) == sorted(set(self.allowed))
        assert self.allowed[0] >= 0
        assert self.allowed[-1] < self.vocabulary

    def check(self, prompt: Sequence[int], sampling: ResolvedSampling, drawn: Sequence[int] = ()) -> None:
        """What every engine asks first: an id out of range is accepted silently by one and kills another for good."""
        if not prompt:
            raise InvalidRequest("The prompt is empty.", field="prompt")
        wrong = next((token for token in prompt if not 0 <= token < self.vocabulary), None)
        if wrong is not None:
            raise InvalidRequest(f"Token id {wrong} is not in [0, {self.vocabulary}).", field="prompt")
        assert len(drawn) < sampling.max_tokens, "a sequence that has ended is not continued"
        wrong = next((token for token in drawn if token not in self._drawable), None)
        if wrong is not None:
            raise InvalidRequest(f"Token id {wrong} cannot have been drawn.", field="drawn")
        if len(prompt) + sampling.max_tokens > self.context:
            raise TooLarge(
                f"{len(prompt)} prompt tokens and max_tokens {sampling.max_tokens} exceed the context of "
                f"{self.context} tokens.",
                field="prompt",
            )


@dataclass(frozen=True)
class EngineOptions:
    """How to run it. precision: of the weights, where the engine has a choice; threads: 0 leaves it to the engine;
    max_batch: sequences that are computed together, more wait; cache_directory: for converted checkpoints.
    """

    precision: str
    threads: int
    max_batch: int
    cache_directory: Path


# Whether so many ids of a sequence that wait are worth a chunk.
Due = Callable[[int], bool]


def at_once(ids: int) -> bool:
    return True


async def gathered(chunks: AsyncGenerator[list[int], None], due: Due) -> AsyncGenerator[list[int], None]:
    """The same ids, held until they are due, for an engine that cannot hold them itself. Owns `chunks`."""
    held: list[int] = []
    async with aclosing(chunks):
        async for ids in chunks:
            held += ids
            if due(len(held)):
                yield held
                held = []
    if held:
        yield held


class Engine(Protocol):
    """One loaded model. All methods but `metrics` are called from the event loop that loaded it."""

    @property
    def failed(self) -> "asyncio.Future[None]":
        """Pending while the engine lives; then holds what killed it. An engine never comes back: end the process."""

    @property
    def running(self) -> int:
        """Sequences that have their first token and still hold memory."""

    @property
    def waiting(self) -> int:
        """Sequences without a first token yet."""

    def metrics(self) -> Iterable[Metric]:
        """What the engine itself measures, under its own names. Any thread may ask, at any time."""

    def generate(
        self,
        prompt: Sequence[int],
        sampling: ResolvedSampling,
        stop_ids: frozenset[int],
        due: Due = at_once,
        drawn: Sequence[int] = (),
    ) -> AsyncGenerator[list[int], None]:
        """Chunks of one or more drawn ids, all of them allowed. `due` is asked once, in any thread, after each step
        that has left ids waiting, but for the last; those for which it is true come at once.

        The last id is a stop id where the model stopped; it is none after max_tokens ids. No stop id is drawn before
        min_tokens ids. Close the generator (`aclosing`): that frees the sequence within one step.
        `drawn`: ids that were drawn for it before, by whichever replica: fewer than max_tokens, and none a stop id.
        They are not sent again, and count for max_tokens, min_tokens and the repetition penalty, and as positions of
        the random numbers: cpu draws on exactly what would have come, the others something that might have.
        Raises InvalidRequest or TooLarge before the first chunk, and StageUnavailable when the engine is dead already,
        which this sequence has no part in; EngineDied, behind what it has drawn, when it dies meanwhile;
        GenerationFailed when it fails on this sequence alone.
        """

    async def close(self) -> None:
        """Ends running sequences and frees the model."""


class EngineLoader(Protocol):
    """How a registered engine comes to be."""

    async def load(self, model: EngineModel, options: EngineOptions) -> Engine:
        """Ready for requests, warmed up. Raises UnusableCheckpoint, or ValueError for an option that it lacks."""
