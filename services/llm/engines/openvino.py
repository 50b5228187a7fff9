"""openvino: the engine for CPUs, continuous batching over paged attention.

Seeds: in f32 and bf16 a request's tokens do not depend on what else is in the batch. In int8 and q4_0 that holds with
one thread; with more, OpenVINO's 8-bit products of a batch round otherwise than those of a lone sequence.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import openvino_genai as genai

from services.llm.engines.engine import Engine, EngineModel, EngineOptions
from services.llm.engines.openvino_conversion import converted
from services.llm.engines.openvino_precision import PRECISIONS
from services.llm.engines.openvino_stepper import OpenVinoStepper
from services.llm.engines.stepped import SteppedEngine
from services.llm.engines.stepper import Job
from services.llm.sampling import Sampling

# What a sequence seldom exceeds: 40 s of speech, or a reference and a sentence. Where all do, some wait and are
# computed again. A cache that grows on demand is copied whole every 32 steps (27 ms for 16 sequences of 1000 tokens).
_USUAL_TOKENS = 2048
_BLOCK_TOKENS = 32
# Prompt tokens and drawn tokens of one step: a long prompt is computed in parts, between the tokens of others.
_TOKENS_PER_STEP = 256


class OpenVinoEngine:
    """Only a loader: what it loads is a SteppedEngine."""

    @staticmethod
    async def load(model: EngineModel, options: EngineOptions) -> Engine:
        if options.precision not in PRECISIONS:
            raise ValueError(f"openvino has no precision {options.precision}, only {', '.join(PRECISIONS)}.")
        return SteppedEngine(model, await asyncio.to_thread(_load, model, options))


def _load(model: EngineModel, options: EngineOptions) -> OpenVinoStepper:
    directory = converted(model, options.precision, options.cache_directory)
    stepper = OpenVinoStepper(open_pipeline(directory, options, _kv_blocks(model.context, options.max_batch)))
    _warm_up(stepper, model, options.max_batch)
    return stepper


def open_pipeline(directory: Path, options: EngineOptions, kv_blocks: int) -> genai.ContinuousBatchingPipeline:
    """`kv_blocks`: room for 32 tokens each. Sequences for which there is none left wait and are computed again."""
    scheduler = genai.SchedulerConfig()
    scheduler.max_num_seqs = options.max_batch
    scheduler.max_num_batched_tokens = max(_TOKENS_PER_STEP, options.max_batch)
    scheduler.enable_prefix_caching = False
    scheduler.num_kv_blocks = kv_blocks
    # By default a CPU with bf16 computes in bf16 and every CPU keeps keys and values in 8 bits: on the bundled voice
    # that changes one token in fifty.
    properties: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32" if options.precision == "f32" else "f16",
    }
    if options.threads:
        properties["INFERENCE_NUM_THREADS"] = options.threads
    return genai.ContinuousBatchingPipeline(directory, scheduler, "CPU", properties)


def _kv_blocks(context: int, max_batch: int) -> int:
    """A lone sequence always fits. Memory is taken as blocks are first used."""
    tokens = max(context, max_batch * min(context, _USUAL_TOKENS))
    return -(-tokens // _BLOCK_TOKENS) + max_batch


def _warm_up(stepper: OpenVinoStepper, model: EngineModel, max_batch: int) -> None:
    """Kernels are made for a shape when it is first seen: a lone prompt, a lone token, a full batch."""
    for batch in (1, max_batch):
        _run(stepper, model, range(batch))


def _run(stepper: OpenVinoStepper, model: EngineModel, tickets: Sequence[int]) -> None:
    prompt = model.allowed[:1] * min(64, model.context - 2)
    for ticket in tickets:
        stepper.submit(Job(ticket, prompt, Sampling(max_tokens=2, seed=0), frozenset()))
    live = set(tickets)
    while live:
        live -= {drawn.ticket for drawn in stepper.step() if drawn.done}
