"""openvino-genai's ContinuousBatchingPipeline as a Stepper. One `step` draws one token for every sequence in the batch,
or computes a part of the prompts that wait.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import openvino as ov
import openvino_genai as genai
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.llm.engines.stepper import Drawn, Job

# Fields of openvino_genai's PipelineMetrics.
_METRICS = {
    "requests": "Requests that the pipeline holds.",
    "scheduled_requests": "Requests that the last step computed.",
    "cache_usage": "Share of the KV cache in use, percent.",
    "max_cache_usage": "Highest share of the KV cache in use so far, percent.",
    "avg_cache_usage": "Share of the KV cache in use, percent, mean of the latest steps.",
    "kv_cache_size_in_bytes": "Memory of the KV cache.",
}


class _Output(Protocol):
    generated_ids: list[int]


class _Handle(Protocol):
    """openvino_genai.GenerationHandle, which the package does not export."""

    def can_read(self) -> bool: ...

    def read(self) -> dict[int, _Output]: ...

    def cancel(self) -> None: ...

    def get_status(self) -> genai.GenerationStatus: ...


class OpenVinoStepper:
    """Owns the pipeline."""

    def __init__(self, pipeline: genai.ContinuousBatchingPipeline) -> None:
        self._pipeline = pipeline
        self._handles: dict[int, _Handle] = {}
        self._measured = pipeline.get_metrics()

    def submit(self, job: Job) -> None:
        prompt = ov.Tensor(np.array([job.prompt], np.int64))
        self._handles[job.ticket] = self._pipeline.add_request(job.ticket, prompt, _generation_config(job))

    def cancel(self, ticket: int) -> None:
        self._handles[ticket].cancel()

    def step(self) -> Iterable[Drawn]:
        self._pipeline.step()
        self._measured = self._pipeline.get_metrics()
        for ticket, handle in list(self._handles.items()):
            ids = _unread(handle)
            done = handle.get_status() != genai.GenerationStatus.RUNNING
            if done:
                del self._handles[ticket]
            if ids or done:
                yield Drawn(ticket, ids, done)

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
        max_new_tokens=sampling.max_tokens,
        min_new_tokens=sampling.min_tokens,
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
        config.rng_seed = sampling.seed
        if sampling.top_k:
            config.top_k = sampling.top_k
    return config
