"""Replies that the connection itself gives, because no handler can: in OpenAI's form, and its last."""

import json
import struct
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus

import httptools

from services.runtime.quoted import shortened

_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class Refusal:
    """`reason` names it in the metric."""

    reason: str
    status: HTTPStatus
    type: str
    code: str
    message: str

    @cached_property
    def reply(self) -> bytes:
        error = {"message": self.message, "type": self.type, "param": None, "code": self.code}
        body = json.dumps({"error": error}).encode()
        head = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
            *(["retry-after: 1"] if self.status in _LATER else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + body


class _Http2Refusal(Refusal):
    """In frames of HTTP/2: empty SETTINGS, and GOAWAY with HTTP_1_1_REQUIRED and the message (RFC 9113, 6.5, 6.8)."""

    @cached_property
    def reply(self) -> bytes:
        said = struct.pack(">II", 0, 0xD) + self.message.encode()
        return _frame(4, b"") + _frame(7, said)


def _frame(kind: int, payload: bytes) -> bytes:
    """Of the whole connection."""
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, 0, 0) + payload


_CALLER = "invalid_request_error"

LATE_HEAD = Refusal(
    "late head", HTTPStatus.REQUEST_TIMEOUT, _CALLER, "request_timeout", "The head of the request did not come in time."
)
LATE_BODY = Refusal(
    "late body", HTTPStatus.REQUEST_TIMEOUT, _CALLER, "request_timeout", "The body of the request did not come in time."
)
LARGE_HEAD = Refusal(
    "large head",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    _CALLER,
    "too_large",
    "The head of the request is too large.",
)
HTTP_2 = _Http2Refusal(
    "HTTP/2",
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    _CALLER,
    "invalid_value",
    "This server speaks HTTP/1.1; ask without HTTP/2, or put a proxy before it.",
)
MALFORMED = Refusal("malformed", HTTPStatus.BAD_REQUEST, _CALLER, "invalid_value", "This is no HTTP request.")
TOO_MANY = Refusal(
    "connections",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "server_error",
    "unavailable",
    "The server has as many connections as it takes; come again later.",
)
TOO_MANY_OF_ADDRESS = Refusal(
    "connections of one address",
    HTTPStatus.TOO_MANY_REQUESTS,
    "rate_limit_error",
    "overloaded",
    "Your address has as many connections as one may have; use them again, or close some.",
)
TOO_MANY_QUEUED = Refusal(
    "queued requests",
    HTTPStatus.TOO_MANY_REQUESTS,
    "rate_limit_error",
    "overloaded",
    "Too many requests wait on this connection for the reply to the first.",
)


def malformed(why: Exception) -> Refusal:
    """`why`: of the parser. What our own functions raised in it is told nobody."""
    if not isinstance(why, httptools.HttpParserError) or isinstance(why, httptools.HttpParserCallbackError):
        return MALFORMED
    return replace(MALFORMED, message=f"This is no HTTP request: {shortened(str(why))}.")
