import json
import logging
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from services.runtime.logs import configure_logs
from services.runtime.request_context import RequestContext, entered


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = before


def test_a_line_is_json_and_tells_the_request(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("llm", "info")

    def say() -> None:
        with entered(RequestContext("req_1")):
            root.info("said", extra={"seconds": 2})

    copy_context().run(say)
    root.debug("not said")
    [line] = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["message"], line["stage"], line["request_id"], line["seconds"]) == ("said", "llm", "req_1", 2)


def test_a_caller_who_leaves_is_no_error(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("llm", "info")
    log = logging.getLogger("grpc._cython.cygrpc")
    for operation in ("SendStatusFromServerOperation", "SendMessageOperation"):
        error = RuntimeError(f'Failed "execute_batch": (<grpc._cython.cygrpc.{operation} object at 0x1>,)')
        log.error("raised in core by servicer method [/a/b]", exc_info=error)
    log.error("said")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert "SendMessageOperation" in first["exc_info"]
    assert second["message"] == "said"
