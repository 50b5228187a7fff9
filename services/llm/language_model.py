"""A family's checkpoint on an engine: requests in, progress out."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from services.contract.generation import GenerationRequest, Progress
from services.llm.engines.engine import Engine
from services.llm.families.family import Family
from services.llm.generation import Generation
from services.llm.metrics import LlmMetrics
from services.runtime.errors import Overloaded
from services.runtime.watchdog import Watchdog

_NOTHING = Progress()


class LanguageModel:
    """`max_waiting`: generations without a first token; one more is turned away."""

    def __init__(
        self, family: Family, engine: Engine, metrics: LlmMetrics, max_waiting: int, watchdog: Watchdog
    ) -> None:
        self._family = family
        self._engine = engine
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._watchdog = watchdog
        self._open = 0
        # A sequence that the engine keeps though its caller has left: one step drops it.
        watchdog.busy = lambda: engine.running + engine.waiting > self._open

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        """The speaker, frames, one finish: those together that are worth a message; where nobody says how the frames
        are played, those of each step. Raises InvalidRequest, TooLarge, Unsupported, Overloaded,
        StageUnavailable, EngineDied, GenerationFailed.
        """
        generation = Generation(self._family, request)
        if generation.end is not None:
            yield generation.read(())
            return
        if self._engine.waiting >= self._max_waiting:
            raise Overloaded(f"{self._engine.waiting} generations wait already.")
        with self._opened(), self._metrics.generation() as seen:
            due = seen.watching(generation.due(request.pace))
            prompt, sampling = generation.prompt.ids, generation.sampling
            chunks = self._engine.generate(prompt, sampling, generation.stop_ids, due, generation.drawn)
            async with aclosing(chunks):
                while (ids := await self._next(chunks)) is not None:
                    seen.drawn(len(ids))
                    progress = generation.read(ids)
                    seen.end = generation.end
                    if progress != _NOTHING:
                        yield progress

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def _next(self, chunks: AsyncGenerator[list[int], None]) -> list[int] | None:
        with self._watchdog.work():
            return await anext(chunks, None)
