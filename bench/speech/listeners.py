"""Ears in processes of their own, because recognising takes longer than speaking."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from bench.speech.ears import ClosedSet, Dictation, Samples

NICENESS = 10


@dataclass(frozen=True)
class Heard:
    """`picked`: by the closed set; `dictated`: by the general recogniser. Both as `spoken` gives them."""

    picked: str
    dictated: str


class Listeners:
    """`processes` of them, all knowing `sentences`. Leaving the context drops what is not yet heard."""

    def __init__(self, sentences: Sequence[str], processes: int) -> None:
        # Raises Failure here for unknown words, not in a process where it would only break the pool.
        ClosedSet(sentences)
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(processes, context, _grow_ears, (tuple(sentences),))

    def __enter__(self) -> "Listeners":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def listen(self, samples: Samples) -> "Future[Heard]":
        """samples: [T] at ears.SAMPLE_RATE."""
        return self._pool.submit(_hear, samples)


# Of one process of the pool.
_ears: list[tuple[ClosedSet, Dictation]] = []


def _grow_ears(sentences: Sequence[str]) -> None:
    os.nice(NICENESS)
    _ears.append((ClosedSet(sentences), Dictation()))


def _hear(samples: Samples) -> Heard:
    closed_set, dictation = _ears[0]
    return Heard(closed_set.hear(samples), dictation.hear(samples))
