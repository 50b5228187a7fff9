"""What the gateway counts, on the process's one registry."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.runtime.errors import Cancelled, GenerationFailed, VoxlineError, row
from services.runtime.metrics import SECONDS

_RTF = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 5.0)
_UNDERRUN = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class GatewayMetrics:
    """`outcome` is "ok" or the code of the error table, e.g. "cancelled"."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "voxline_gateway_requests", "Speech requests that ended.", ["outcome"], registry=registry
        )
        self.active_streams = Gauge(
            "voxline_gateway_active_streams", "Speech requests being served.", registry=registry
        )
        self.audio_seconds = Counter("voxline_gateway_audio_seconds", "Speech made, in seconds.", registry=registry)
        self.time_to_first_audio = Histogram(
            "voxline_gateway_time_to_first_audio_seconds",
            "Request to first audible sample.",
            buckets=SECONDS,
            registry=registry,
        )
        self.real_time_factor = Histogram(
            "voxline_gateway_real_time_factor_ratio",
            "Seconds waited for a reply per second of its audio.",
            buckets=_RTF,
            registry=registry,
        )
        self.underrun = Histogram(
            "voxline_gateway_underrun_seconds",
            "How long a player that starts with the first audio would have starved in a reply.",
            buckets=_UNDERRUN,
            registry=registry,
        )
        self.database_up = Gauge(
            "voxline_gateway_database_up", "Whether the database of voices answers.", registry=registry
        )
        self.empty_generations = Counter(
            "voxline_gateway_empty_generations", "Segments for which the LLM drew no code.", registry=registry
        )
        self.truncated_segments = Counter(
            "voxline_gateway_truncated_segments", "Segments that ended at their token limit.", registry=registry
        )
        self.replacements = Counter(
            "voxline_gateway_replacements",
            "Times that a segment went on, or was begun again, on another replica.",
            ["stage"],
            registry=registry,
        )

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Counts a request that is refused inside the block."""
        try:
            yield
        except VoxlineError as exc:
            self.requests.labels(row(exc).openai_code).inc()
            raise

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Counts a request by its outcome when the block ends, and as an active stream until then."""
        # What is no Exception, a cancellation or a closed generator, leaves it at this.
        outcome = row(Cancelled("")).openai_code
        try:
            with self.active_streams.track_inprogress():
                yield
            outcome = "ok"
        except Exception as exc:  # Counted as its row of the error table, and raised on.
            outcome = row(exc if isinstance(exc, VoxlineError) else GenerationFailed("")).openai_code
            raise
        finally:
            self.requests.labels(outcome).inc()
