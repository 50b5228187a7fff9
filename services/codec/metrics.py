"""What the codec stages count of their own, beside the RPC metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64)


class DetokenizerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "voxline_detokenizer"
        self.streams = Gauge(f"{prefix}_streams", "Utterances being decoded.", registry=registry)
        self.frames = Counter(f"{prefix}_frames", "Frames of codes taken in.", registry=registry)
        self.backlog = Gauge(f"{prefix}_backlog_audio_seconds", "Audio whose codes wait for a step.", registry=registry)
        self.waited = Histogram(
            f"{prefix}_queue_seconds",
            "How long a chunk whose codes are there waits for its step.",
            buckets=_STEP_SECONDS,
            registry=registry,
        )
        self.batch = Histogram(f"{prefix}_batch_size", "Streams in a step.", buckets=_BATCH, registry=registry)
        self.seconds = Histogram(f"{prefix}_step_seconds", "Time of a step.", buckets=_STEP_SECONDS, registry=registry)

    @contextmanager
    def step(self, streams: int, frames: int) -> Iterator[None]:
        with self.seconds.time():
            yield
        self.batch.observe(streams)
        self.frames.inc(frames)


class TokenizerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "voxline_tokenizer"
        self.batch = Histogram(f"{prefix}_batch_size", "Clips in a step.", buckets=_BATCH, registry=registry)
        self.audio_seconds = Counter(f"{prefix}_audio_seconds", "Reference audio read.", registry=registry)
        self.waiting = Gauge(f"{prefix}_waiting_clips", "Clips not yet in a step.", registry=registry)
