"""A family's checkpoint on an engine: prompts in, events out."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.llm.engines.engine import Engine
from services.llm.events import Event, Finished, FinishReason
from services.llm.families.family import Family, Prompt
from services.llm.metrics import LlmMetrics
from services.llm.sampling import Sampling
from services.runtime.errors import Overloaded


class LanguageModel:
    """`max_waiting`: generations without a first token; one more is turned away."""

    def __init__(self, family: Family, engine: Engine, metrics: LlmMetrics, max_waiting: int) -> None:
        self.family = family
        self._engine = engine
        self._metrics = metrics
        self._max_waiting = max_waiting

    async def generate(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Event, None]:
        """The speaker, codes, one finish. Raises Overloaded, StageUnavailable, GenerationFailed."""
        if self._engine.waiting >= self._max_waiting:
            raise Overloaded(f"{self._engine.waiting} generations wait already.")
        reader, stop_ids = self.family.reader(prompt), self.family.stop_ids
        with self._metrics.generation() as seen:
            async with aclosing(self._engine.generate(prompt.ids, sampling, stop_ids)) as chunks:
                async for ids in chunks:
                    seen.drawn(len(ids))
                    seen.end = FinishReason.STOP if ids[-1] in stop_ids else FinishReason.LENGTH
                    for event in reader.read(ids):
                        yield event
            reader.end()
            yield Finished(seen.end, len(prompt.ids), seen.tokens, sampling.seed)
