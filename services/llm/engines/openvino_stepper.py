"""openvino-genai's ContinuousBatchingPipeline as a Stepper. One `step` computes the prompts that it takes in and draws
one token for every sequence.

It takes in only what is computed whole and kept to its end: where the pipeline cuts a prompt, or which sequence it
computes again, depends on the others, and a part of one token is computed by another kernel, with other rounding.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import openvino as ov
import openvino_genai as genai
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.llm.engines.stepper import Drawn, Job
from services.llm.sampling import random_bits

# Fields of openvino_genai's PipelineMetrics.
_METRICS = {
    "requests": "Requests that the pipeline holds.",
    "scheduled_requests": "Requests that the last step computed.",
    "cache_usage": "Share of the KV cache in use, percent.",
    "max_cache_usage": "Highest share of the KV cache in use so far, percent.",
    "avg_cache_usage": "Share of the KV cache in use, percent, mean of the latest steps.",
    "kv_cache_size_in_bytes": "Memory of the KV cache.",
}


# Of the prompts of a step, where there is more than one: whoever draws waits for them.
PROMPT_TOKENS = 64


@dataclass(frozen=True)
class Room:
    """Of a pipeline: sequences, and blocks of their cache."""

    sequences: int
    blocks: int
    block_tokens: ClassVar[int] = 32  # On CPUs.

    @classmethod
    def of(cls, sequences: int, tokens: int) -> "Room":
        """`tokens` of all sequences together."""
        return cls(sequences, cls.blocks_of(tokens) + sequences)

    @classmethod
    def blocks_of(cls, tokens: int) -> int:
        return -(-tokens // cls.block_tokens)


class _Output(Protocol):
    generated_ids: list[int]


class _Handle(Protocol):
    """openvino_genai.GenerationHandle, which the package does not export."""

    def can_read(self) -> bool: ...

    def read(self) -> dict[int, _Output]: ...

    def cancel(self) -> None: ...

    def get_status(self) -> genai.GenerationStatus: ...


@dataclass(frozen=True)
class _Sequence:
    """`blocks` of the cache that it may need."""

    handle: _Handle
    blocks: int


class OpenVinoStepper:
    """Owns the pipeline."""

    def __init__(self, pipeline: genai.ContinuousBatchingPipeline, room: Room) -> None:
        self._pipeline = pipeline
        self._room = room
        self._waiting: dict[int, Job] = {}
        self._sequences: dict[int, _Sequence] = {}
        self._dropped: list[int] = []
        self._measured = pipeline.get_metrics()

    def submit(self, job: Job) -> None:
        self._waiting[job.ticket] = job

    def cancel(self, ticket: int) -> None:
        if sequence := self._sequences.get(ticket):
            sequence.handle.cancel()
        elif self._waiting.pop(ticket, None):
            self._dropped.append(ticket)

    def step(self) -> Iterable[Drawn]:
        self._take_in()
        self._pipeline.step()
        self._measured = self._pipeline.get_metrics()
        for ticket, sequence in list(self._sequences.items()):
            ids = _unread(sequence.handle)
            done = sequence.handle.get_status() != genai.GenerationStatus.RUNNING
            if done:
                del self._sequences[ticket]
            if ids or done:
                yield Drawn(ticket, ids, done)
        while self._dropped:
            yield Drawn(self._dropped.pop(), [], True)

    def _take_in(self) -> None:
        """Those who have waited longest, while there is room."""
        prompts, blocks = 0, sum(sequence.blocks for sequence in self._sequences.values())
        for job in list(self._waiting.values()):
            needed = Room.blocks_of(len(job.prompt) + job.sampling.max_tokens)
            full = len(self._sequences) == self._room.sequences or blocks + needed > self._room.blocks
            if full or (prompts and prompts + len(job.prompt) + len(job.drawn) > PROMPT_TOKENS):
                break
            del self._waiting[job.ticket]
            prompt = ov.Tensor(np.array([job.prompt + job.drawn], np.int64))
            handle = self._pipeline.add_request(job.ticket, prompt, _generation_config(job))
            self._sequences[job.ticket] = _Sequence(handle, needed)
            prompts += len(job.prompt) + len(job.drawn)
            blocks += needed

    def metrics(self) -> Iterable[Metric]:
        """Of the last step."""
        for name, purpose in _METRICS.items():
            yield GaugeMetricFamily(f"openvino_{name}", purpose, getattr(self._measured, name))


def _unread(handle: _Handle) -> list[int]:
    ids: list[int] = []
    while handle.can_read():
        for output in handle.read().values():
            ids += output.generated_ids
    return ids


def _generation_config(job: Job) -> genai.GenerationConfig:
    """`eos_token_id` only keeps the pipeline from adding its own idea of one (-1) to the stop ids; `ignore_eos`
    disables all of them, which is right where there are none.
    """
    sampling = job.sampling
    config = genai.GenerationConfig(
        max_new_tokens=job.left,
        min_new_tokens=max(0, sampling.min_tokens - len(job.drawn)),
        stop_token_ids=set(job.stop_ids),
        eos_token_id=min(job.stop_ids, default=0),
        ignore_eos=not job.stop_ids,
        repetition_penalty=sampling.repetition_penalty,
        do_sample=not sampling.greedy,
        apply_chat_template=False,
    )
    if not sampling.greedy:
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.rng_seed = random_bits(sampling.seed, len(job.drawn)) >> 32 if job.drawn else sampling.seed
        if sampling.top_k:
            config.top_k = sampling.top_k
    return config
