"""The gateway's ports. The stages behind it have none for gRPC: they listen on Unix sockets."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

from services.cli.failure import Failure


@dataclass(frozen=True)
class Ports:
    http: int = 8000
    grpc: int = 50050

    def check(self, host: str) -> None:
        """Raises Failure when one is taken."""
        taken = [f"{port} ({name})" for name, port in asdict(self).items() if not _is_free(host, port)]
        if taken:
            raise Failure(
                f"Already in use: port {', '.join(taken)}. Is Voxline running already? "
                "Choose others with --http-port and --port, or let --any-ports pick both."
            )


@contextmanager
def held_ports(host: str) -> Iterator[Ports]:
    """Free ports, which nobody but the gateway gets: a socket that is bound and does not listen leaves its port to
    servers that name it, and the kernel gives it to none who ask for any. So it is on Linux; elsewhere the gateway
    could not have it either, and the ports are let go at once.
    """
    with ExitStack() as held:
        sockets = [held.enter_context(_bound(host, 0)) for _ in range(2)]
        ports = Ports(*(each.getsockname()[1] for each in sockets))
        if sys.platform != "linux":
            held.close()
        yield ports


def _is_free(host: str, port: int) -> bool:
    try:
        _bound(host, port).close()
    except _Taken:
        return False
    return True


class _Taken(Exception):
    """Somebody listens there."""


def _bound(host: str, port: int) -> socket.socket:
    """As servers bind: a port whose last connections have just ended is free."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as exc:
        bound.close()
        if exc.errno == errno.EADDRINUSE:
            raise _Taken from exc
        raise Failure(f"Cannot listen on {host}, port {port}: {exc.strerror}.") from exc
    return bound
