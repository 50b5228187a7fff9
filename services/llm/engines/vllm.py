"""vllm: the engine for NVIDIA GPUs, continuous batching in a process of its own. Its CPU build runs the same code.

Seeds: a request's tokens do not depend on what else is in the batch, up to ties that rounding breaks: the sums of a
matrix product depend on its size. A temperature in (0, 0.01) counts as 0.01.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from itertools import count

from prometheus_client import REGISTRY, Metric
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError, VLLMServerError
from vllm.inputs import tokens_input
from vllm.outputs import RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from services.llm.checkpoint import load_config
from services.llm.engines.engine import Due, Engine, EngineModel, EngineOptions, at_once, gathered
from services.llm.engines.vllm_settings import EngineSettings, engine_settings, environment
from services.llm.sampling import ResolvedSampling, random_bits
from services.llm.weights import Weights
from services.runtime.errors import EngineDied, GenerationFailed, InvalidRequest, StageUnavailable


class VllmEngine:
    """Owns the `AsyncLLM` from here on."""

    def __init__(self, model: EngineModel, llm: AsyncLLM) -> None:
        self._model = model
        self._llm = llm
        self._tickets = count()
        self._started: dict[str, bool] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def load(cls, model: EngineModel, options: EngineOptions) -> Engine:
        """`max_batch` also sizes the KV cache; `threads` counts on a CPU; `cache_directory` keeps compiled kernels."""
        Weights(model.directory)  # Refuses what must not be run.
        settings = engine_settings(model, load_config(model.directory), options)
        os.environ.update(environment(options))
        engine = cls(model, await asyncio.to_thread(_start, settings))
        await engine._warm_up()
        return engine

    @property
    def running(self) -> int:
        return sum(self._started.values())

    @property
    def waiting(self) -> int:
        return len(self._started) - self.running

    def metrics(self) -> Iterable[Metric]:
        """vllm registers them in this process."""
        return (metric for metric in REGISTRY.collect() if metric.name.startswith("vllm:"))

    def generate(
        self,
        prompt: Sequence[int],
        sampling: ResolvedSampling,
        stop_ids: frozenset[int],
        due: Due = at_once,
        drawn: Sequence[int] = (),
    ) -> AsyncGenerator[list[int], None]:
        return gathered(self._drawn(prompt, sampling, stop_ids, drawn), due)

    async def _drawn(
        self, prompt: Sequence[int], sampling: ResolvedSampling, stop_ids: frozenset[int], drawn: Sequence[int]
    ) -> AsyncGenerator[list[int], None]:
        self._model.check(prompt, sampling, drawn)
        if self.failed.done() or self._llm.errored:
            raise StageUnavailable("The engine is dead; its process ends.")
        ticket = str(next(self._tickets))
        self._started[ticket] = False
        try:
            with _own_errors():
                params = _params(sampling, stop_ids, len(drawn))
                outputs = self._llm.generate(tokens_input([*prompt, *drawn]), params, ticket)
                async with aclosing(outputs):
                    async for output in outputs:
                        self._started[ticket] = True
                        yield _ids(output)
        finally:
            del self._started[ticket]

    async def close(self) -> None:
        if not self.failed.done():
            self.failed.cancel()
        await self._llm.abort(list(self._started))
        self._llm.output_handler.cancel()
        await asyncio.wait([self._llm.output_handler])
        await asyncio.to_thread(self._llm.shutdown)
        del self._llm  # Its __del__ fails once the interpreter is ending.

    async def _warm_up(self) -> None:
        """The first request starts vllm's reader of outputs, a task that ends when the engine does and not before."""
        async for _ in self.generate(self._model.allowed[:1], ResolvedSampling(max_tokens=2), frozenset()):
            pass
        self._llm.output_handler.add_done_callback(self._die)

    def _die(self, _: "asyncio.Task[None]") -> None:
        if not self.failed.done():
            self.failed.set_exception(EngineDeadError())


def _start(settings: EngineSettings) -> AsyncLLM:
    """Takes from ten seconds to minutes. On a CPU there is nothing to capture, and compiling gains nothing."""
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**settings, enforce_eager=current_platform.is_cpu()))


def _params(sampling: ResolvedSampling, stop_ids: frozenset[int], drawn: int) -> SamplingParams:
    """What is left behind `drawn` ids, with a seed of its own: the same would repeat their random numbers."""
    return SamplingParams(
        max_tokens=sampling.max_tokens - drawn,
        min_tokens=max(0, sampling.min_tokens - drawn),
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        seed=random_bits(sampling.seed, drawn) >> 1 if drawn else sampling.seed,
        stop_token_ids=sorted(stop_ids),
        ignore_eos=True,  # Those that config.json names besides.
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )


def _ids(output: RequestOutput) -> list[int]:
    """The new ids. A sequence that vllm gave up is not a shorter one, but a failure."""
    (completion,) = output.outputs
    if completion.finish_reason not in (None, "stop", "length"):
        raise GenerationFailed(f"The engine gave the sequence up ({completion.finish_reason}).")
    return list(completion.token_ids)


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except EngineDeadError as exc:
        raise EngineDied("The engine died.") from exc
    except VLLMServerError as exc:
        raise GenerationFailed("The engine failed on this sequence.") from exc
    except VLLMClientError as exc:
        raise InvalidRequest(str(exc), field="prompt") from exc
