"""The seam inside an engine: what computes, without threads or event loops."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Metric

from services.llm.engines.engine import Due, at_once
from services.llm.sampling import ResolvedSampling

# What a sequence seldom exceeds: 40 s of speech, or a reference and a sentence. Where all do, some wait.
_USUAL_TOKENS = 2048


def kept_tokens(context: int, sequences: int) -> int:
    """For how many tokens keys and values are kept, of all sequences together. A lone one always fits."""
    return max(context, sequences * min(context, _USUAL_TOKENS))


@dataclass(frozen=True)
class Job:
    """`ticket` names the sequence; `due` and `drawn`: see `Engine.generate`."""

    ticket: int
    prompt: tuple[int, ...]
    sampling: ResolvedSampling
    stop_ids: frozenset[int]
    due: Due = at_once
    drawn: tuple[int, ...] = ()

    @property
    def left(self) -> int:
        """How many ids it may still draw."""
        return self.sampling.max_tokens - len(self.drawn)


@dataclass(frozen=True)
class Drawn:
    """New ids of a sequence; `done` once there will be no more, then also without ids (a cancelled one)."""

    ticket: int
    ids: list[int]
    done: bool


class Stepper(Protocol):
    """Every method but `metrics` runs in the engine's thread. An exception from any of them kills the engine."""

    def submit(self, job: Job) -> None: ...

    def cancel(self, ticket: int) -> None:
        """The next step frees it and reports it done. A ticket that has ended already is ignored."""

    def step(self) -> Iterable[Drawn]:
        """One token or more for every sequence that has room; called only while a sequence lives."""

    def metrics(self) -> Iterable[Metric]:
        """As `Engine.metrics`."""
