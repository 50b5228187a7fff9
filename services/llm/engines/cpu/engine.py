"""Loads the engine."""

import asyncio
import math
from pathlib import Path

from services.llm.checkpoint import load_config
from services.llm.engines.cpu.library import Library
from services.llm.engines.cpu.stepper import CpuStepper, Room
from services.llm.engines.cpu.weights import fits, packed
from services.llm.engines.engine import Engine, EngineModel, EngineOptions
from services.llm.engines.stepped import SteppedEngine
from services.llm.engines.stepper import Job, kept_tokens
from services.llm.sampling import ResolvedSampling
from services.llm.weights import Weights
from services.runtime.cpus import cpus

# Weights, from which on a step waits for memory; and threads that together read as fast as memory gives.
LARGE, _MOST_THREADS = 100_000_000, 8


class CpuEngine:
    """Only a loader: what it loads is a SteppedEngine."""

    @staticmethod
    async def load(model: EngineModel, options: EngineOptions) -> Engine:
        if options.precision != "int8":
            raise ValueError(f"cpu has no precision {options.precision}, only int8.")
        return SteppedEngine(model, await asyncio.to_thread(load_stepper, model, options))


def load_stepper(model: EngineModel, options: EngineOptions) -> CpuStepper:
    """Warmed up. Raises as `CpuEngine.load`."""
    library = Library.load(options.cache_directory)
    if library is None:
        raise ValueError("Engine cpu needs g++, and a CPU with AVX2 or NEON; transformers runs without.")
    if not fits(load_config(model.directory)):
        raise ValueError("Engine cpu needs heads of a multiple of 16, and widths of 32; transformers runs any.")
    threads = options.threads or usual_threads(model)
    room = Room(options.max_batch, kept_tokens(model.context, options.max_batch))
    stepper = CpuStepper(library, model, packed(model, options.cache_directory), threads, room)
    _warm_up(stepper, model)
    return stepper


def _warm_up(stepper: CpuStepper, model: EngineModel) -> None:
    """Reads all weights once."""
    stepper.submit(Job(0, model.allowed[:1], ResolvedSampling(max_tokens=1, seed=0), frozenset()))
    list(stepper.step())


def runs(model: EngineModel, cache: Path) -> bool:
    """Whether this machine and the engine can compute it."""
    return fits(load_config(model.directory)) and Library.load(cache) is not None


def usual_threads(model: EngineModel) -> int:
    """A small model's steps are over before other threads have woken."""
    weights = Weights(model.directory)
    size = sum(math.prod(weights.shape(name)) for name in weights)
    return min(cpus(), _MOST_THREADS) if size > LARGE else 1
