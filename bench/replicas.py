"""Several real processes of each stage behind one gateway, to be killed and started again at will."""

import asyncio
import json
import re
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.cli.model import BUNDLED
from services.gateway.access.principal import EVERYBODY, entered
from services.gateway.admission import AdmissionPolicy
from services.gateway.gateway import Gateway, SpeechOptions
from services.gateway.stages import Stages, Targets
from services.gateway.voices.store import VoiceStore

PROGRAMS = {
    "tokenizer": ("services.codec", "--role", "tokenizer"),
    "llm": ("services.llm",),
    "detokenizer": ("services.codec", "--role", "detokenizer"),
}
# A start may pack weights and compile, on a machine that is busy with other tests.
START_SECONDS = 300


class ReplicaProcess:
    """One process of a stage. It keeps its port when it is started again."""

    def __init__(self, stage: str, model: Path = BUNDLED, flags: tuple[str, ...] = ()) -> None:
        self.stage = stage
        self.port = 0
        self.metrics_port = 0
        self._command = ("-P", "-m", *PROGRAMS[stage], "--model", str(model), "--drain-seconds", "0", *flags)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it serves."""
        command = (*self._command, "--port", str(self.port), "--metrics-port", "0")
        self._process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
        async with asyncio.timeout(START_SECONDS):
            while '"serving"' not in (line := (await self._line()).decode()):
                print(line, end="")
        said = json.loads(line)
        self.port, self.metrics_port = said["port"], said["metrics_port"]
        self._drain = asyncio.create_task(self._read_on())

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Returns when it is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        await self._process.wait()

    def freeze(self) -> None:
        """As SIGSTOP does; `thaw` lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def status(self) -> int:
        """Of its exit, once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    def counted(self, name: str) -> float:
        """The sum of a counter of its /metrics."""
        return self.measured(f"{name}_total")

    def measured(self, name: str) -> float:
        """The same of a gauge."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as reply:
            text = reply.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    async def _line(self) -> bytes:
        assert self._process is not None
        assert self._process.stderr is not None
        line = await self._process.stderr.readline()
        if not line:
            raise RuntimeError(f"{self.stage} ended while it started; the test's output has its log.")
        return line

    async def _read_on(self) -> None:
        """So that its pipes never fill."""
        assert self._process is not None
        await self._process.communicate()


@dataclass(frozen=True)
class Replicas:
    """`processes` by stage; `target` of each for a gateway."""

    processes: Mapping[str, tuple[ReplicaProcess, ...]]

    @property
    def targets(self) -> Targets:
        return Targets(
            **{
                stage: "ipv4:" + ",".join(f"127.0.0.1:{process.port}" for process in processes)
                for stage, processes in self.processes.items()
            }
        )


@asynccontextmanager
async def running_replicas(counts: Mapping[str, int], model: Path = BUNDLED) -> AsyncIterator[Replicas]:
    processes = {stage: tuple(ReplicaProcess(stage, model) for _ in range(count)) for stage, count in counts.items()}
    every = [process for each in processes.values() for process in each]
    async with AsyncExitStack() as stack:
        for process in every:
            stack.push_async_callback(process.stop)
        # One first: it packs and compiles what the others find then.
        for stage in processes:
            await processes[stage][0].start()
        await asyncio.gather(*(process.start() for each in processes.values() for process in each[1:]))
        yield Replicas(processes)


@asynccontextmanager
async def running_gateway(
    targets: Targets, directory: Path, look_ahead: int | None = None, registry: CollectorRegistry | None = None
) -> AsyncIterator[Gateway]:
    """Ready; in this process, and for whoever enters it. `registry` receives its metrics."""
    stages = Stages(targets, look_ahead)
    store = VoiceStore(f"sqlite:///{directory}/voices.db")
    # Nobody is turned away: what is told here is what becomes of those who are in.
    options = SpeechOptions(AdmissionPolicy(wait_seconds=START_SECONDS))
    gateway = Gateway(stages, store, options, registry or CollectorRegistry())
    await gateway.start()
    try:
        async with asyncio.timeout(START_SECONDS):
            while gateway.ready():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        with entered(EVERYBODY):
            yield gateway
    finally:
        await gateway.stop()
