"""The metrics of generations, beside those of their RPCs."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from services.contract.generation import FinishReason
from services.llm.engines.engine import Due, Engine

_FIRST_TOKEN_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class _EngineMetrics(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        return self._engine.metrics()


class LlmMetrics:
    """`end` of a generation: stop, length, cancelled or failed."""

    def __init__(self, registry: CollectorRegistry, engine: Engine) -> None:
        self._tokens = Counter("voxline_llm_tokens", "Tokens drawn.", registry=registry)
        self._ends = Counter("voxline_llm_generations", "Generations that ended.", ["end"], registry=registry)
        self._first = Histogram(
            "voxline_llm_first_token_seconds",
            "From the request to its first token.",
            buckets=_FIRST_TOKEN_SECONDS,
            registry=registry,
        )
        running = Gauge("voxline_llm_running", "Sequences that are being generated.", registry=registry)
        running.set_function(lambda: engine.running)
        waiting = Gauge("voxline_llm_waiting", "Sequences without a first token yet.", registry=registry)
        waiting.set_function(lambda: engine.waiting)
        registry.register(_EngineMetrics(engine))

    @contextmanager
    def generation(self) -> Iterator["GenerationObserver"]:
        observer = GenerationObserver(self._tokens, self._first)
        end = "failed"
        try:
            yield observer
            end = observer.end_or("failed")
        except (asyncio.CancelledError, GeneratorExit):
            # A caller that has received the finish may leave before the stream ends.
            end = observer.end_or("cancelled")
            raise
        finally:
            self._ends.labels(end).inc()


class GenerationObserver:
    """Counts the tokens of one generation. Set `end` once all are drawn."""

    def __init__(self, tokens: Counter, first: Histogram) -> None:
        self._counter = tokens
        self._first = first
        self._started = time.monotonic()
        self._any = False
        self.tokens = 0
        self.end: FinishReason | None = None

    def watching(self, due: Due) -> Due:
        """`due` that also observes the time of the first token."""

        def watched(ids: int) -> bool:
            self._begin()
            return due(ids)

        return watched

    def drawn(self, tokens: int) -> None:
        self._begin()
        self.tokens += tokens
        self._counter.inc(tokens)

    def end_or(self, otherwise: str) -> str:
        return otherwise if self.end is None else self.end.name.lower()

    def _begin(self) -> None:
        if not self._any:
            self._any = True
            self._first.observe(time.monotonic() - self._started)
