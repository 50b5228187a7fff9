"""The four processes of Voxline on one machine, and the command line of each."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from services.cli import probes
from services.cli.ports import Ports
from services.cli.probes import Probe
from services.runtime.address import joined

LOOPBACK = "127.0.0.1"
# No flag: everybody on the machine may read those, and it may hold a password.
DATABASE = "VOXLINE_GATEWAY_DATABASE"
STAGES = ("tokenizer", "llm", "detokenizer")
# Nobody balances over a stack on one machine: no wait for callers to notice, and little patience at the end.
_QUICK_END = ("--drain-seconds", "0", "--grace-seconds", "3")


@dataclass(frozen=True)
class Program:
    """A process: `command` is the whole argument list, `defaults` what its environment holds unless ours says else,
    `probe` how it is asked whether it lives; None: it is not, and not started again.
    """

    name: str
    command: tuple[str, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)
    probe: Probe | None = None


@dataclass(frozen=True)
class Stack:
    """`host` is where the gateway listens. The stages listen on Unix sockets in `sockets`, whose path is short, and
    all serve /metrics on free ports of loopback. Empty and None leave it to the program. `tls`: whether the
    gateway speaks it.
    """

    model: Path
    ports: Ports
    sockets: Path
    host: str = LOOPBACK
    engine: str = ""
    database: str = ""
    threads: int | None = None
    tls: bool = False

    @property
    def url(self) -> str:
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.host, self.host)
        return f"{'https' if self.tls else 'http'}://{joined(host, self.ports.http)}"

    def programs(self) -> tuple[Program, ...]:
        """In the order in which they start, which does not matter: the gateway waits for its stages."""
        return (
            self._stage("tokenizer", "services.codec", {"--role": "tokenizer"}),
            self._stage("llm", "services.llm", {"--engine": self.engine}),
            self._stage("detokenizer", "services.codec", {"--role": "detokenizer"}),
            Program(
                "gateway",
                _command("services.gateway", self._gateway_flags()),
                _free_metrics_port("gateway") | ({DATABASE: self.database} if self.database else {}),
                probes.of_gateway(self.url),
            ),
        )

    def socket(self, stage: str) -> Path:
        return self.sockets / stage

    def _stage(self, name: str, module: str, more: Mapping[str, str]) -> Program:
        flags = {
            **more,
            "--model": str(self.model),
            "--socket": str(self.socket(name)),
            "--threads": "" if self.threads is None else str(self.threads),
        }
        probe = probes.of_stage(self.socket(name))
        return Program(name, _command(module, flags), _free_metrics_port(name), probe)

    def _gateway_flags(self) -> dict[str, str]:
        return {
            "--host": self.host,
            "--metrics-host": LOOPBACK,
            "--http-port": str(self.ports.http),
            "--port": str(self.ports.grpc),
            **{f"--{stage}": f"unix:{self.socket(stage)}" for stage in STAGES},
        }


def _free_metrics_port(name: str) -> dict[str, str]:
    return {f"VOXLINE_{name.upper()}_METRICS_PORT": "0"}


@contextmanager
def socket_directory() -> Iterator[Path]:
    """Ours alone, and gone in the end. Not in TMPDIR: the path of a socket has room for 107 bytes, 103 on macOS."""
    with TemporaryDirectory(prefix="voxline-", dir="/tmp") as directory:
        yield Path(directory)


def _command(module: str, flags: Mapping[str, str]) -> tuple[str, ...]:
    """Flags without a value are left out. -P: a folder named `services` where the user stands must not be imported."""
    given = [part for flag, value in flags.items() if value for part in (flag, value)]
    return (sys.executable, "-P", "-m", module, *given, *_QUICK_END)
