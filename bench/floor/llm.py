"""The LLM alone: how many tokens a second it draws, and how many the memory's bandwidth would let it draw."""

import asyncio
import math
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.floor.speed import memory_bandwidth
from services.llm.engines import default_engine, default_precision, engine_loader
from services.llm.engines.engine import Engine, EngineLoader, EngineModel, EngineOptions
from services.llm.families import load_family
from services.llm.sampling import ResolvedSampling
from services.llm.settings import LlmSettings
from services.llm.weights import Weights

# Bytes of a weight; in int8 a whole row shares a scale.
WEIGHT_BYTES = {"f32": 4.0, "bf16": 2.0, "int8": 1.0}
_EMBEDDING = "model.embed_tokens.weight"
_PROMPT_TOKENS = 64
_TRIES = 5
# Tokens that come together, about as a listener's do.
_TOGETHER = 8


@dataclass(frozen=True)
class Speed:
    """Medians of a few tries. `weight_bytes`: what a step reads of the weights; `bandwidth`: bytes a second that one
    thread reads; `tokens`: tokens a second by number of sequences; `share`: of what the bandwidth allows one sequence.
    """

    weight_bytes: float
    bandwidth: float
    tokens: dict[int, float]
    share: float


def llm_speed(model: Path, sequences: int, tokens: int) -> Speed:
    """Of one sequence and of several, each of which draws `tokens`, in turn with the memory's: of the engine and the
    precision that this machine gets by default, on one thread.
    """
    engine_model = load_family("spark", model).engine_model
    name = default_engine(engine_model, _cache())
    precision = default_precision(name)
    options = EngineOptions(precision, threads=1, max_batch=sequences, cache_directory=_cache())
    tries = asyncio.run(_tries(engine_loader(name), engine_model, options, sequences, tokens))
    size = weight_bytes(engine_model, precision)
    return Speed(
        weight_bytes=size,
        bandwidth=median(each.bandwidth for each in tries),
        tokens={count: median(each.tokens[count] for each in tries) for count in (1, sequences)},
        share=median(each.tokens[1] * size / each.bandwidth for each in tries),
    )


def weight_bytes(model: EngineModel, precision: str) -> float:
    """Every matrix once; of the embeddings only the head, cut to what may be drawn. Without keys and values."""
    weights = Weights(model.directory)
    read = sum(math.prod(weights.shape(name)) for name in weights if name not in (_EMBEDDING, "lm_head.weight"))
    return (read + len(model.allowed) * weights.shape(_EMBEDDING)[1]) * WEIGHT_BYTES[precision]


def _cache() -> Path:
    """The stage's own, so that nothing is converted twice."""
    return Path(LlmSettings.model_fields["cache_dir"].default).expanduser()


@dataclass(frozen=True)
class _Try:
    bandwidth: float
    tokens: dict[int, float]


async def _tries(
    loader: EngineLoader, model: EngineModel, options: EngineOptions, sequences: int, tokens: int
) -> list[_Try]:
    engine = await loader.load(model, options)
    try:
        return [
            _Try(memory_bandwidth(), {count: await _rate(engine, model, count, tokens) for count in (1, sequences)})
            for _ in range(_TRIES)
        ]
    finally:
        await engine.close()


async def _rate(engine: Engine, model: EngineModel, count: int, tokens: int) -> float:
    """From when all sequences have their first token."""
    drawing = [_Drawing() for _ in range(count)]
    await asyncio.gather(*(each.run(engine, model, tokens, seed) for seed, each in enumerate(drawing)))
    begun = max(each.times[0] for each in drawing)
    later = [time for each in drawing for time in each.times if time > begun]
    return len(later) / (max(later) - begun)


class _Drawing:
    def __init__(self) -> None:
        self.times: list[float] = []

    async def run(self, engine: Engine, model: EngineModel, tokens: int, seed: int) -> None:
        prompt = model.allowed[:1] * _PROMPT_TOKENS
        sampling = ResolvedSampling(max_tokens=tokens, seed=seed)
        generated = engine.generate(prompt, sampling, frozenset(), lambda waiting: waiting >= _TOGETHER)
        async with aclosing(generated) as chunks:
            async for ids in chunks:
                self.times += [time.perf_counter()] * len(ids)
