"""openvino: for CPUs where cpu does not run and for other precisions, continuous batching over paged attention.

Seeds: in f32 and bf16 a request's tokens do not depend on what else is in the batch. In int8 and q4_0 that holds with
one thread; with more, OpenVINO splits the attention of a lone sequence otherwise than that of a batch, and few bits
make another token of another rounding.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import openvino_genai as genai

from services.llm.engines.engine import Engine, EngineModel, EngineOptions
from services.llm.engines.openvino_conversion import openvino_ir
from services.llm.engines.openvino_precision import PRECISIONS
from services.llm.engines.openvino_stepper import OpenVinoStepper, Room
from services.llm.engines.stepped import SteppedEngine
from services.llm.engines.stepper import Job, kept_tokens
from services.llm.sampling import ResolvedSampling

# A step of the pipeline keeps Python's interpreter. Whoever waits for it gets it behind the step, but only after having
# waited so long: by Python's own 5 ms an event loop misses ten steps of a small model. Each asking wakes it.
_SWITCH_SECONDS = 0.0005
# Prompt tokens that a step seldom exceeds: a sentence of 100 characters.
_USUAL_STEP = 112
# A large model's steps take longer than its kernels, and these are made as they are needed.
_WARM_UP_SECONDS = 2.0


class OpenVinoEngine:
    """Only a loader: what it loads is a SteppedEngine."""

    @staticmethod
    async def load(model: EngineModel, options: EngineOptions) -> Engine:
        if options.precision not in PRECISIONS:
            raise ValueError(f"openvino has no precision {options.precision}, only {', '.join(PRECISIONS)}.")
        return SteppedEngine(model, await asyncio.to_thread(_load, model, options))


def _load(model: EngineModel, options: EngineOptions) -> OpenVinoStepper:
    sys.setswitchinterval(_SWITCH_SECONDS)
    directory = openvino_ir(model, options.precision, options.cache_directory)
    room = _room(model.context, options.max_batch)
    stepper = OpenVinoStepper(open_pipeline(directory, options, room), room)
    _warm_up(stepper, model, options.max_batch)
    return stepper


def open_pipeline(directory: Path, options: EngineOptions, room: Room) -> genai.ContinuousBatchingPipeline:
    scheduler = genai.SchedulerConfig()
    scheduler.max_num_seqs = room.sequences
    # All that can be there: nothing is cut.
    scheduler.max_num_batched_tokens = room.blocks * room.block_tokens
    scheduler.enable_prefix_caching = False
    scheduler.num_kv_blocks = room.blocks
    # By default a CPU with bf16 computes in bf16 and every CPU keeps keys and values in 8 bits: on the bundled voice
    # that changes one token in fifty.
    properties: dict[str, object] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32" if options.precision == "f32" else "f16",
        # It would draw the tokens of a step with as many threads as there are cores, at any number of sequences.
        "sampler_num_threads": 1,
        "INFERENCE_NUM_THREADS": options.threads or 1,
    }
    return genai.ContinuousBatchingPipeline(directory, scheduler, "CPU", properties)


def _room(context: int, max_batch: int) -> Room:
    """Memory is taken as blocks are first used. A cache that grows on demand is copied whole every 32 steps (27 ms for
    16 sequences of 1000 tokens).
    """
    return Room.of(max_batch, kept_tokens(context, max_batch))


def _warm_up(stepper: OpenVinoStepper, model: EngineModel, max_batch: int) -> None:
    """Kernels are made for a number of tokens when a step first has it, which takes longer than the step of a small
    model: for all usual numbers, while the time lasts.
    """
    until = time.monotonic() + _WARM_UP_SECONDS
    for tokens in range(1, min(_USUAL_STEP + max_batch, model.context - 1) + 1):
        sequences = tokens if tokens <= max_batch else 1
        _run(stepper, sequences, model.allowed[:1] * (tokens // sequences))
        if time.monotonic() > until:
            break


def _run(stepper: OpenVinoStepper, sequences: int, prompt: Sequence[int]) -> None:
    live = set(range(sequences))
    for ticket in live:
        stepper.submit(Job(ticket, tuple(prompt), ResolvedSampling(max_tokens=1, seed=0), frozenset()))
    while live:
        live -= {drawn.ticket for drawn in stepper.step() if drawn.done}
