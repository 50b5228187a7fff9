"""The ports of a stack on one machine."""

import errno
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields

from services.cli.failure import Failure


@dataclass(frozen=True)
class Ports:
    """`http` and `grpc` are the gateway's; each stage has one for gRPC and one for /metrics."""

    http: int = 8000
    grpc: int = 50050
    tokenizer: int = 50051
    llm: int = 50052
    detokenizer: int = 50053
    tokenizer_metrics: int = 9101
    llm_metrics: int = 9102
    detokenizer_metrics: int = 9103

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on. Another process can still take one before it is used."""
        with ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in fields(cls)]
            for listener in sockets:
                listener.bind(("127.0.0.1", 0))
            return cls(*(listener.getsockname()[1] for listener in sockets))

    def check(self, host: str) -> None:
        """Raises Failure when one is taken; `host` is where the gateway listens, the stages stay on loopback."""
        taken = [
            f"{port} ({name.replace('_', ' ')})"
            for name, port in asdict(self).items()
            if not _is_free(host if name in ("http", "grpc") else "127.0.0.1", port)
        ]
        if taken:
            raise Failure(
                f"Already in use: port {', '.join(taken)}. Is Voxline running already? "
                "Choose others with --http-port and --port, or let --any-ports pick all of them."
            )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        # As servers do: a port whose last connections have just ended is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return False
            raise Failure(f"Cannot listen on {host}, port {port}: {exc.strerror}.") from exc
    return True
