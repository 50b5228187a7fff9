"""The four processes of Voxline on one machine, and the command line of each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.cli.ports import Ports

LOOPBACK = "127.0.0.1"
# Nobody balances over a stack on one machine: no wait for callers to notice, and little patience at the end.
_QUICK_END = ("--drain-seconds", "0", "--grace-seconds", "3")


@dataclass(frozen=True)
class Program:
    """A process: `command` is the whole argument list."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Stack:
    """`host` is where the gateway listens; the stages stay on loopback. Empty and None leave it to the program."""

    model: Path
    ports: Ports
    host: str = LOOPBACK
    engine: str = ""
    database: str = ""
    threads: int | None = None

    @property
    def url(self) -> str:
        host = {"0.0.0.0": LOOPBACK, "::": LOOPBACK}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.ports.http}"

    def programs(self) -> tuple[Program, ...]:
        """In the order in which they start, which does not matter: the gateway waits for its stages."""
        ports, codec = self.ports, "services.codec"
        return (
            self._stage("tokenizer", codec, ports.tokenizer, ports.tokenizer_metrics, {"--role": "tokenizer"}),
            self._stage("llm", "services.llm", ports.llm, ports.llm_metrics, {"--engine": self.engine}),
            self._stage("detokenizer", codec, ports.detokenizer, ports.detokenizer_metrics, {"--role": "detokenizer"}),
            _program("gateway", "services.gateway", self._gateway_flags()),
        )

    def _stage(self, name: str, module: str, port: int, metrics_port: int, more: Mapping[str, str]) -> Program:
        flags = {
            **more,
            "--model": str(self.model),
            "--port": str(port),
            "--metrics-port": str(metrics_port),
            "--threads": "" if self.threads is None else str(self.threads),
        }
        return _program(name, module, flags)

    def _gateway_flags(self) -> dict[str, str]:
        ports = self.ports
        return {
            "--host": self.host,
            "--http-port": str(ports.http),
            "--port": str(ports.grpc),
            "--tokenizer": f"{LOOPBACK}:{ports.tokenizer}",
            "--llm": f"{LOOPBACK}:{ports.llm}",
            "--detokenizer": f"{LOOPBACK}:{ports.detokenizer}",
            "--database": self.database,
        }


def _program(name: str, module: str, flags: Mapping[str, str]) -> Program:
    """Flags without a value are left out. -P: a folder named `services` where the user stands must not be imported."""
    given = [part for flag, value in flags.items() if value for part in (flag, value)]
    return Program(name, (sys.executable, "-P", "-m", module, *given, *_QUICK_END))
