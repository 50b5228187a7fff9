"""transformers: the reference for correctness, and the last resort. Float32 on the CPU, one sequence at a time within a
step, so that a request's tokens depend on nothing but itself.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import torch
from prometheus_client import Metric
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList, Qwen2ForCausalLM
from transformers.generation.logits_process import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from services.llm.engines.engine import Engine, EngineModel, EngineOptions
from services.llm.engines.stepped import SteppedEngine
from services.llm.engines.stepper import Drawn, Job
from services.llm.sampling import ResolvedSampling, random_bits
from services.llm.weights import Weights


class TransformersEngine:
    """Only a loader: what it loads is a SteppedEngine."""

    @staticmethod
    async def load(model: EngineModel, options: EngineOptions) -> Engine:
        if options.precision != "f32":
            raise ValueError(f"transformers runs in f32 only, not in {options.precision}.")
        return SteppedEngine(model, await asyncio.to_thread(TransformersStepper, model, options))


class TransformersStepper:
    """Every sequence with room in the batch gets one token per step; the others wait in order of arrival."""

    def __init__(self, model: EngineModel, options: EngineOptions) -> None:
        Weights(model.directory)  # Refuses what must not be run.
        if options.threads:
            torch.set_num_threads(options.threads)
        # transformers 5 would take config.json's torch_dtype, which the published checkpoint gives wrongly.
        self._qwen2 = Qwen2ForCausalLM.from_pretrained(model.directory, dtype=torch.float32)
        self._forbidden = torch.ones(model.vocabulary, dtype=torch.bool)
        self._forbidden[list(model.allowed)] = False
        self._max_batch = options.max_batch
        self._sequences: dict[int, Sequence] = {}

    def submit(self, job: Job) -> None:
        self._sequences[job.ticket] = Sequence(job)

    def cancel(self, ticket: int) -> None:
        self._sequences[ticket].cancelled = True

    def step(self) -> Iterable[Drawn]:
        cancelled = [ticket for ticket, sequence in self._sequences.items() if sequence.cancelled]
        for ticket in cancelled:
            del self._sequences[ticket]
            yield Drawn(ticket, [], done=True)
        for ticket, sequence in list(self._sequences.items())[: self._max_batch]:
            ids = [self._draw(sequence)]
            if sequence.finished:
                del self._sequences[ticket]
            yield Drawn(ticket, ids, sequence.finished)

    def metrics(self) -> Iterable[Metric]:
        """transformers measures nothing."""
        return ()

    @torch.inference_mode()
    def logits(self, sequence: "Sequence") -> torch.Tensor:
        """[V] after the ids of the sequence that are not in its cache yet; -inf where not allowed."""
        new = sequence.ids[:, sequence.cache.get_seq_length() :]
        output = self._qwen2(new, past_key_values=sequence.cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits[0, -1]
        return logits.masked_fill(self._forbidden, -torch.inf)

    @torch.inference_mode()
    def _draw(self, sequence: "Sequence") -> int:
        token = sequence.draw(self.logits(sequence))
        sequence.append(token)
        return token


@dataclass
class Sequence:
    """ids: prompt and output, [1, S]; the cache holds the keys and values of all but the last."""

    job: Job
    cancelled: bool = False
    cache: DynamicCache = field(default_factory=DynamicCache)
    ids: torch.Tensor = field(init=False)
    generator: torch.Generator = field(default_factory=torch.Generator)

    def __post_init__(self) -> None:
        self.ids = torch.tensor([self.job.prompt + self.job.drawn])
        self._warpers = _warpers(self.job.sampling)

    @property
    def drawn(self) -> int:
        return self.ids.shape[1] - len(self.job.prompt)

    @property
    def finished(self) -> bool:
        return self.drawn == self.job.sampling.max_tokens or int(self.ids[0, -1]) in self.job.stop_ids

    def warped(self, logits: torch.Tensor) -> torch.Tensor:
        """[V] -> [V]: what the token is drawn from, before the softmax."""
        ids, scores = cast(torch.LongTensor, self.ids), cast(torch.FloatTensor, logits[None])
        return self._warpers(ids, scores)[0]

    def append(self, token: int) -> None:
        self.ids = torch.cat([self.ids, torch.tensor([[token]])], dim=1)

    def draw(self, logits: torch.Tensor) -> int:
        if self.drawn < self.job.sampling.min_tokens:
            logits[list(self.job.stop_ids)] = -torch.inf
        warped = self.warped(logits)
        if self.job.sampling.greedy:
            return int(warped.argmax())
        self.generator.manual_seed(random_bits(self.job.sampling.seed, self.drawn))
        return int(torch.multinomial(warped.softmax(-1), 1, generator=self.generator))


def _warpers(sampling: ResolvedSampling) -> LogitsProcessorList:
    """transformers' own, in the order of its `generate`."""
    chain: list[LogitsProcessor] = []
    if sampling.repetition_penalty != 1.0:
        chain.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    if not sampling.greedy:
        chain.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k:
            chain.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1.0:
            chain.append(TopPLogitsWarper(sampling.top_p))
    return LogitsProcessorList(chain)
