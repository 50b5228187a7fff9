"""A family's checkpoint on an engine: prompts in, events out."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.llm.engines.engine import Engine, at_once
from services.llm.events import Event, Finished, FinishReason
from services.llm.families.family import Family, Prompt
from services.llm.metrics import LlmMetrics
from services.llm.pace import Pace, Playhead
from services.llm.sampling import ResolvedSampling
from services.runtime.errors import Overloaded


class LanguageModel:
    """`max_waiting`: generations without a first token; one more is turned away."""

    def __init__(self, family: Family, engine: Engine, metrics: LlmMetrics, max_waiting: int) -> None:
        self.family = family
        self._engine = engine
        self._metrics = metrics
        self._max_waiting = max_waiting

    async def generate(
        self, prompt: Prompt, sampling: ResolvedSampling, pace: Pace | None = None
    ) -> AsyncGenerator[tuple[Event, ...], None]:
        """The speaker, codes, one finish: those together that are worth a message; where nobody says how the codes are
        played, those of each step. Raises Overloaded, StageUnavailable, GenerationFailed.
        """
        if self._engine.waiting >= self._max_waiting:
            raise Overloaded(f"{self._engine.waiting} generations wait already.")
        reader, stop_ids = self.family.reader(prompt), self.family.stop_ids
        with self._metrics.generation() as seen:
            due = seen.watching(at_once if pace is None else Playhead(pace, prompt.prelude).due)
            async with aclosing(self._engine.generate(prompt.ids, sampling, stop_ids, due)) as chunks:
                async for ids in chunks:
                    seen.drawn(len(ids))
                    events: tuple[Event, ...] = tuple(reader.read(ids))
                    if ids[-1] in stop_ids or seen.tokens == sampling.max_tokens:
                        reader.end()
                        seen.end = FinishReason.STOP if ids[-1] in stop_ids else FinishReason.LENGTH
                        events += (Finished(seen.end, len(prompt.ids), seen.tokens, sampling.seed),)
                    if events:
                        yield events
