"""A gateway that answers from a script, over real HTTP, and keeps what it was asked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from services.cli.__main__ import app


@dataclass(frozen=True)
class Answer:
    """`promised`: Content-Length, where it is more than the body has, so that the reply breaks off."""

    body: bytes
    status: int = 200
    promised: int | None = None


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FakeGateway:
    url: str = ""
    answer: Answer = field(default_factory=lambda: Answer(b"{}"))
    asked: list[Asked] = field(default_factory=list)

    def refuse(self, status: int, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": "x"}
        self.answer = Answer(json.dumps({"error": error}).encode(), status)


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            self.send_response(fake.answer.status)
            length = len(fake.answer.body) if fake.answer.promised is None else fake.answer.promised
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(fake.answer.body)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names.

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the same.
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield fake
        server.shutdown()


class Voxline:
    """The command line, in this process; `fake` is the server that it talks to."""

    def __init__(self, fake: FakeGateway) -> None:
        self._environment = {"VOXLINE_URL": fake.url}

    def __call__(self, *arguments: object, stdin: str | bytes = "", more: Mapping[str, str] | None = None) -> Result:
        environment = self._environment | (more or {})
        return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin, env=environment)


@pytest.fixture
def voxline(gateway: FakeGateway) -> Voxline:
    return Voxline(gateway)
