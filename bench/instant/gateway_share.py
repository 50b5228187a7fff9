"""What of a listener's wait, and of all CPU-seconds, is the gateway's."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prometheus_client import parser

from bench.figures import Figures
from bench.points import Closed, Effort, Open, measure
from bench.programs import running
from bench.stack import START_SECONDS
from bench.system import System
from services.cli.ports import held_ports
from services.cli.stack import LOOPBACK, Program, Stack, socket_directory
from services.codec.families.spark.config import SparkConfig

_GATEWAY = "gateway"
_SECONDS, _WARM_UP_SECONDS = 15.0, 4.0
# Audio-seconds a second for each listener.
_LEAST_PACE = 4.0
_TTFA = "voxline_gateway_time_to_first_audio_seconds"


def cpu_share(streams: int, real: Figures) -> dict[str, float]:
    """`real`: the figures of the whole system at `streams`. "With hops" adds the stages' ends of the gRPC calls: their
    event loops and gRPC's own threads.
    """
    hops = sum(used for stage, used in real.calls.items() if stage != _GATEWAY)
    return {
        f"share of all CPU at {streams} streams": real.cpu[_GATEWAY] / real.cpu_sum,
        f"share of all CPU at {streams} streams, with hops": (real.cpu[_GATEWAY] + hops) / real.cpu_sum,
    }


def first_audio(model: Path, directory: Path, system: System, streams: int, real: Figures) -> dict[str, float]:
    """`real`: the figures of `system`, the whole one, at `streams`. Its rates of requests and of frames are taken over,
    so that about as many streams run at once; but frames come fast enough for the gateway to hold no newcomer up.
    Requests come at random: where all replies take the same time, listeners in a closed loop would ask in step.

    TTFA is the listener's, with the client's own time; "inside" is without it and without the HTTP server's.
    """
    rush = Open(1.0, real.reply_rate)
    pace = max(real.audio_rate / streams, _LEAST_PACE)
    with _instant_system(model, directory, system, _frame_rate(model) * pace) as (instant, port):
        measure(instant, Closed(1), Effort(4, 0))
        # The gateway lets in the more the more it has seen served.
        measure(instant, rush, Effort(0, _WARM_UP_SECONDS))
        before = _served(port)
        alone = measure(instant, rush, Effort(0, _SECONDS))
        seconds, count = (now - then for now, then in zip(_served(port), before, strict=True))
    return {
        "CPU-s per audio-s before instant stages": alone.cpu[_GATEWAY],
        f"ttfa p50 before instant stages at {streams} streams, ms": 1000 * alone.ttfa_p50,
        f"ttfa p95 before instant stages at {streams} streams, ms": 1000 * alone.ttfa_p95,
        f"ttfa p95 inside the gateway at {streams} streams, ms": 1000 * alone.server_ttfb_p95,
        f"ttfa mean inside the gateway at {streams} streams, ms": 1000 * seconds / count,
    }


@contextmanager
def _instant_system(model: Path, directory: Path, system: System, rate: float) -> Iterator[tuple[System, int]]:
    """With the port of the gateway's metrics."""
    folder = directory / "instant"
    folder.mkdir()
    with held_ports(LOOPBACK) as ports, socket_directory() as sockets:
        whole = Stack(model, ports, sockets, database=f"sqlite:///{directory}/instant.db")
        # Every instant server is all stages.
        whole.socket("tokenizer").symlink_to(whole.socket("detokenizer"))
        flags = ("--model", str(model.resolve()), "--rate", str(rate))
        command = (sys.executable, "-m", "bench.instant", *flags)
        stages = [Program(name, (*command, "--socket", str(whole.socket(name)))) for name in ("llm", "detokenizer")]
        gateway = next(program for program in whole.programs() if program.name == _GATEWAY)
        with running([*stages, gateway], folder, START_SECONDS) as programs:
            programs.until_ready(f"{whole.url}/readyz")
            metrics_port = int(programs.logged(_GATEWAY, r'"metrics_port": (\d+)'))
            yield System("instant", whole.url, programs.pids, system.sample_rate), metrics_port


def _frame_rate(model: Path) -> float:
    audio = SparkConfig.read(model).audio
    return audio.sample_rate / audio.latent_hop_length


def _served(metrics_port: int) -> tuple[float, float]:
    """Sum and count of the gateway's own TTFA so far."""
    text = httpx.get(f"http://{LOOPBACK}:{metrics_port}/metrics", trust_env=False).text
    samples = {s.name: s.value for family in parser.text_string_to_metric_families(text) for s in family.samples}
    return samples.get(f"{_TTFA}_sum", 0.0), samples.get(f"{_TTFA}_count", 0.0)
