"""qwen2.cpp as a Stepper."""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.llm.engines.cpu.library import Kind, Library, Sampling, Shape
from services.llm.engines.cpu.weights import Packed
from services.llm.engines.engine import EngineModel
from services.llm.engines.stepper import Drawn, Job

# Of prompts, in one step: whoever draws waits for them.
PROMPT_TOKENS = 64


@dataclass(frozen=True)
class Room:
    """What there may be at once: sequences, and tokens of prompts and outputs."""

    sequences: int
    tokens: int


@dataclass
class _Sequence:
    """`address`: of the compiled one. `left`: tokens that it may still draw."""

    job: Job
    address: int
    left: int

    @property
    def tokens(self) -> int:
        return _tokens(self.job)


class CpuStepper:
    """Owns the compiled model. Sequences start by arrival, when there is room for all their tokens."""

    def __init__(
        self,
        library: Library,
        model: EngineModel,
        weights: Packed,
        threads: int,
        room: Room,
        kind: Kind = Kind.BEST,
    ) -> None:
        self._library, self._weights, self._room = library, weights, room
        allowed = np.array(model.allowed, np.int64)
        arrays = (weights.matrices, weights.embeddings, weights.scales, allowed)
        shape = _shape(weights, len(allowed), threads, kind)
        self._model = library.model(ctypes.byref(shape), *(array.ctypes.data for array in arrays))
        self._waiting: dict[int, Job] = {}
        self._sequences: dict[int, _Sequence] = {}
        self._dropped: set[int] = set()
        self._tokens = 0

    def submit(self, job: Job) -> None:
        self._waiting[job.ticket] = job

    def cancel(self, ticket: int) -> None:
        if self._waiting.pop(ticket, None) or ticket in self._sequences:
            self._dropped.add(ticket)

    def step(self) -> Iterable[Drawn]:
        while self._dropped:
            ticket = self._dropped.pop()
            self._close(ticket)
            yield Drawn(ticket, [], True)
        self._take_in()
        sequences = list(self._sequences.values())
        addresses = (ctypes.c_void_p * len(sequences))(*(each.address for each in sequences))
        drawn = (ctypes.c_int64 * len(sequences))()
        self._library.step(self._model, addresses, len(sequences), PROMPT_TOKENS, drawn)
        for sequence, token in zip(sequences, drawn, strict=True):
            if token >= 0:
                yield self._drawn(sequence, token)

    def logits(self) -> int:
        """Address of those of the last step, float32 [sequences that drew, ids that may be drawn]."""
        address: int = self._library.logits(self._model)
        return address

    def metrics(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("cpu_sequences", "Sequences that the engine computes.", len(self._sequences))
        yield GaugeMetricFamily(
            "cpu_cache_usage", "Share of the room for keys and values that is taken.", self._tokens / self._room.tokens
        )

    def _drawn(self, sequence: _Sequence, token: int) -> Drawn:
        sequence.left -= 1
        done = token in sequence.job.stop_ids or not sequence.left
        if done:
            self._close(sequence.job.ticket)
        return Drawn(sequence.job.ticket, [token], done)

    def _take_in(self) -> None:
        for job in list(self._waiting.values()):
            if len(self._sequences) == self._room.sequences or self._tokens + _tokens(job) > self._room.tokens:
                break
            del self._waiting[job.ticket]
            self._sequences[job.ticket] = _Sequence(job, self._open(job), job.left)
            self._tokens += _tokens(job)

    def _open(self, job: Job) -> int:
        prompt, stops = _ids(job.prompt + job.drawn), _ids(job.stop_ids)
        sampling, drawn = ctypes.byref(_sampling(job)), len(job.drawn)
        address: int = self._library.open(self._model, sampling, prompt, len(prompt), drawn, stops, len(stops))
        return address

    def _close(self, ticket: int) -> None:
        if sequence := self._sequences.pop(ticket, None):
            self._library.close(sequence.address)
            self._tokens -= sequence.tokens

    def __del__(self) -> None:
        for ticket in list(self._sequences):
            self._close(ticket)
        self._library.free(self._model)


def _tokens(job: Job) -> int:
    return len(job.prompt) + job.sampling.max_tokens


def _ids(ids: Iterable[int]) -> "ctypes.Array[ctypes.c_int64]":
    values = tuple(ids)
    return (ctypes.c_int64 * len(values))(*values)


def _sampling(job: Job) -> Sampling:
    return Sampling(**{name: getattr(job.sampling, name) for name, *_ in Sampling._fields_})


def _shape(weights: Packed, drawable: int, threads: int, kind: Kind) -> Shape:
    config = weights.config
    return Shape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
        head=config.head_size,
        middle=config.intermediate_size,
        vocabulary=len(weights.scales),
        drawable=drawable,
        threads=threads,
        kind=kind,
        epsilon=config.rms_norm_eps,
        theta=config.rope_theta,
    )
