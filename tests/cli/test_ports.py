import socket
from collections.abc import Iterator

import pytest

from services.cli.failure import Failure
from services.cli.ports import Ports, held_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_held_ports_pass_the_check_and_let_servers_in() -> None:
    with held_ports("127.0.0.1") as ports:
        ports.check("127.0.0.1")
        for port in (ports.http, ports.grpc):
            socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_taken_port_is_named_with_what_wants_it(taken: int, host: str) -> None:
    with held_ports(host) as ports, pytest.raises(Failure, match=rf"port {taken} \(http\).*--http-port"):
        Ports(taken, ports.grpc).check(host)


def test_host_that_is_not_ours_is_a_failure() -> None:
    with pytest.raises(Failure, match=r"Cannot listen on 192\.0\.2\.1"):
        Ports().check("192.0.2.1")
