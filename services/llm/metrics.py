"""What a generation costs, beside the figures of its RPC."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from services.llm.engines.engine import Engine
from services.llm.events import FinishReason

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
            end = observer.end.value
        except (asyncio.CancelledError, GeneratorExit):
            end = "cancelled"
            raise
        finally:
            self._ends.labels(end).inc()


class GenerationObserver:
    """Counts the tokens of one generation. `end` is LENGTH until the last token says otherwise."""

    def __init__(self, tokens: Counter, first: Histogram) -> None:
        self._counter = tokens
        self._first = first
        self._started = time.monotonic()
        self.tokens = 0
        self.end = FinishReason.LENGTH

    def drawn(self, tokens: int) -> None:
        if not self.tokens:
            self._first.observe(time.monotonic() - self._started)
        self.tokens += tokens
        self._counter.inc(tokens)
