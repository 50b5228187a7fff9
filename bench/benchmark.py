"""The whole of a benchmark: systems are started, every load is run on each, in turn."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.baseline.running import baseline
from bench.instant.gateway_share import cpu_share, first_audio
from bench.machine import machine
from bench.points import Closed, Effort, Open, interleaved, measure
from bench.results import OURS, Results
from bench.shape.voice import clone_voice
from bench.stack import START_SECONDS, running_stack
from bench.system import System

# What OpenAI's clients take pcm for.
SAMPLE_RATE = 24_000
_WARM_UP_REPLIES = 2
_LONG_START_SECONDS = 900


@dataclass(frozen=True)
class Loads:
    """`shares` of the capacity, which only a closed loop can tell."""

    streams: tuple[int, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.streams:
            raise ValueError("A benchmark has at least one closed loop.")


@dataclass(frozen=True)
class Benchmark:
    """`directory`: for logs and data; `random`: the model's weights are, so it has no voice of its own."""

    model: Path
    directory: Path
    effort: Effort
    repeats: int
    random: bool = False

    @property
    def start_seconds(self) -> float:
        """A model of half a billion parameters is converted at its first start."""
        return _LONG_START_SECONDS if self.random else START_SECONDS

    def run(self, loads: Loads, against_baseline: bool) -> Results:
        results = Results(machine())
        with ExitStack() as stack:
            systems = [stack.enter_context(self._ours())]
            if against_baseline:
                systems.append(stack.enter_context(baseline(self.directory, self.model, self.start_seconds)))
            self._measure(results, systems, loads)
        return results

    def _measure(self, results: Results, systems: Sequence[System], loads: Loads) -> None:
        for system in systems:
            measure(system, Closed(1), Effort(_WARM_UP_REPLIES, 0, self.effort.fixed_length))
        for streams in loads.streams:
            closed = Closed(streams)
            results.add(closed, interleaved(systems, closed, self.effort, self.repeats))
        for share in loads.shares:
            open_ = Open(share, share * results.capacity)
            results.add(open_, interleaved(systems[:1], open_, self.effort, self.repeats))
        at, real = results.busiest
        results.gateway = cpu_share(at.streams, real)
        if not self.random:
            results.gateway |= first_audio(self.model, self.directory, systems[0], at.streams, real)

    @contextmanager
    def _ours(self) -> Iterator[System]:
        with running_stack(self.directory, self.model, start_seconds=self.start_seconds) as stack:
            body = {"voice": clone_voice(stack.url)} if self.random else {}
            yield System(OURS, stack.url, stack.pids, SAMPLE_RATE, body)
