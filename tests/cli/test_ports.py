import socket
from collections.abc import Iterator
from dataclasses import astuple, replace

import pytest

from services.cli.failure import Failure
from services.cli.ports import Ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_free_ports_all_differ_and_pass_the_check() -> None:
    ports = Ports.free()
    assert len(set(astuple(ports))) == len(astuple(ports))
    ports.check("127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_taken_port_is_named_with_what_wants_it(taken: int, host: str) -> None:
    with pytest.raises(Failure, match=rf"port {taken} \(http\).*--http-port"):
        replace(Ports.free(), http=taken).check(host)


def test_taken_port_of_a_stage_is_found_on_loopback(taken: int) -> None:
    with pytest.raises(Failure, match=rf"{taken} \(llm metrics\)"):
        replace(Ports.free(), llm_metrics=taken).check("0.0.0.0")


def test_host_that_is_not_ours_is_a_failure() -> None:
    with pytest.raises(Failure, match=r"Cannot listen on 192\.0\.2\.1"):
        Ports.free().check("192.0.2.1")
