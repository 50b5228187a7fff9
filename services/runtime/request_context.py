"""What belongs to the request being served: ids and deadline. Set at every entrance, read by logs and by calls."""

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_TRACEPARENT_FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def _new_request_id() -> str:
    return f"req_{uuid.uuid4().hex}"


@dataclass(frozen=True)
class RequestContext:
    """`deadline` is on time.monotonic()'s clock; `traceparent` is W3C's header, passed on as it came."""

    request_id: str = field(default_factory=_new_request_id)
    traceparent: str | None = None
    deadline: float | None = None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], time_remaining: float | None = None) -> "RequestContext":
        """From lower-case header names. An id or trace that is not well-formed is replaced, so logs stay one-line."""
        request_id = metadata.get(REQUEST_ID, "")
        traceparent = metadata.get(TRACEPARENT, "")
        return cls(
            request_id=request_id if _REQUEST_ID_FORM.fullmatch(request_id) else _new_request_id(),
            traceparent=traceparent if _TRACEPARENT_FORM.fullmatch(traceparent) else None,
            deadline=None if time_remaining is None else time.monotonic() + time_remaining,
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        trace = () if self.traceparent is None else ((TRACEPARENT, self.traceparent),)
        return ((REQUEST_ID, self.request_id), *trace)

    def time_remaining(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


_current: ContextVar[RequestContext | None] = ContextVar("voxline_request", default=None)


def current() -> RequestContext | None:
    return _current.get()


@contextmanager
def entered(request: RequestContext) -> Iterator[RequestContext]:
    """Sets the request for this task. No reset: an async generator may be closed from another context."""
    _current.set(request)
    yield request
