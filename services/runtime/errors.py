"""Every failure that a caller can see, and the one table that gives it a gRPC status, an HTTP status and an OpenAI
body. A new error is a subclass and a row. `to_status` and `from_rpc_error` carry class, message, field and retry time
across a hop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "voxline"
# What a stage sends as initial metadata when it takes up a stream: a caller whose call breaks then knows that a replica
# had it.
TAKEN_UP = (("voxline-taken-up", "1"),)


class VoxlineError(Exception):
    """`message` is for people; `field` names the request field at fault; `retry_after` is in seconds.

    `broken`: the call broke after a replica had taken it up, and that replica did not say why.
    """

    retry_after_default: ClassVar[float | None] = None
    broken = False

    def __init__(self, message: str, *, field: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after = self.retry_after_default if retry_after is None else retry_after


class InvalidRequest(VoxlineError):
    """The request can never succeed as it stands."""


class Unauthenticated(VoxlineError):
    """No key, or a wrong one."""


class PermissionDenied(VoxlineError):
    """The key is good, but not for this."""


class VoiceNotFound(VoxlineError):
    """No voice of that name."""


class ModelNotFound(VoxlineError):
    """No model of that name."""


class VoiceExists(VoxlineError):
    """A voice of that name is there already."""


class TooLarge(VoxlineError):
    """A text or an upload over a stated limit."""


class UnsupportedMediaType(VoxlineError):
    """A body in a form that is not read here."""


class Overloaded(VoxlineError):
    """No room for one more request now."""

    retry_after_default = 1.0


class RateLimited(VoxlineError):
    """This caller has used up its share."""

    retry_after_default = 1.0


class Cancelled(VoxlineError):
    """The caller left."""


class Unsupported(VoxlineError):
    """The served model has no such ability."""


class StageUnavailable(VoxlineError):
    """A stage is down, starting or draining."""

    retry_after_default = 1.0


class StoreUnavailable(VoxlineError):
    """The database of voices is away."""

    retry_after_default = 1.0


class EngineDied(StageUnavailable):
    """What computes in this replica is dead. Another replica may go on from what there is."""


class WrongRevision(VoxlineError):
    """This replica serves another revision of the model than the caller expects."""

    retry_after_default = 1.0


class DeadlineExceeded(VoxlineError):
    """The caller's deadline passed."""


class GenerationFailed(VoxlineError):
    """The model or our own code failed; also every unforeseen error."""


@dataclass(frozen=True)
class Row:
    grpc: grpc.StatusCode
    http: int
    openai_type: str
    openai_code: str


_CLIENT, _LIMIT, _SERVER = "invalid_request_error", "rate_limit_error", "server_error"
_S = grpc.StatusCode

TABLE: Mapping[type[VoxlineError], Row] = {
    InvalidRequest: Row(_S.INVALID_ARGUMENT, 400, _CLIENT, "invalid_value"),
    Unauthenticated: Row(_S.UNAUTHENTICATED, 401, _CLIENT, "invalid_api_key"),
    PermissionDenied: Row(_S.PERMISSION_DENIED, 403, _CLIENT, "permission_denied"),
    VoiceNotFound: Row(_S.NOT_FOUND, 404, _CLIENT, "voice_not_found"),
    ModelNotFound: Row(_S.NOT_FOUND, 404, _CLIENT, "model_not_found"),
    VoiceExists: Row(_S.ALREADY_EXISTS, 409, _CLIENT, "voice_exists"),
    TooLarge: Row(_S.INVALID_ARGUMENT, 413, _CLIENT, "too_large"),
    UnsupportedMediaType: Row(_S.INVALID_ARGUMENT, 415, _CLIENT, "unsupported_media_type"),
    Overloaded: Row(_S.RESOURCE_EXHAUSTED, 429, _LIMIT, "overloaded"),
    RateLimited: Row(_S.RESOURCE_EXHAUSTED, 429, _LIMIT, "rate_limited"),
    Cancelled: Row(_S.CANCELLED, 499, _CLIENT, "cancelled"),
    Unsupported: Row(_S.UNIMPLEMENTED, 501, _CLIENT, "unsupported"),
    StageUnavailable: Row(_S.UNAVAILABLE, 503, _SERVER, "unavailable"),
    StoreUnavailable: Row(_S.UNAVAILABLE, 503, _SERVER, "store_unavailable"),
    EngineDied: Row(_S.UNAVAILABLE, 503, _SERVER, "engine_died"),
    WrongRevision: Row(_S.FAILED_PRECONDITION, 503, _SERVER, "wrong_revision"),
    DeadlineExceeded: Row(_S.DEADLINE_EXCEEDED, 504, _SERVER, "timeout"),
    GenerationFailed: Row(_S.INTERNAL, 500, _SERVER, "generation_failed"),
}

# What a status means when no ErrorInfo of ours came with it (the channel itself failed, or a proxy answered), and what
# is said of it: gRPC's own words hold addresses. Any other status says that we have asked wrongly, or failed.
_BY_STATUS: Mapping[grpc.StatusCode, type[VoxlineError]] = {
    _S.RESOURCE_EXHAUSTED: Overloaded,
    # Nobody here has cancelled: that would be no error of the call. The server ends.
    _S.CANCELLED: StageUnavailable,
    _S.UNAVAILABLE: StageUnavailable,
    _S.DEADLINE_EXCEEDED: DeadlineExceeded,
}
_MESSAGES: Mapping[type[VoxlineError], str] = {
    Overloaded: "A stage has as much to do as it takes.",
    StageUnavailable: "A stage cannot be reached.",
    DeadlineExceeded: "A stage did not answer in time.",
    GenerationFailed: "A stage failed; the log tells more under this request id.",
}
# What a caller of ours may have done wrong, as a stage sees it; and the first names of the fields that it set itself.
_CALLERS_FAULT = (InvalidRequest, TooLarge)
_CALLERS_FIELDS = ("audio", "sampling", "text", "transcript")
_OURS = (Unauthenticated, PermissionDenied, VoiceNotFound, ModelNotFound, VoiceExists, UnsupportedMediaType)
_BY_REASON: Mapping[str, type[VoxlineError]] = {row.openai_code.upper(): cls for cls, row in TABLE.items()}


class OpenAIError(TypedDict):
    message: str
    type: str
    param: str | None
    code: str


def row(error: VoxlineError) -> Row:
    return TABLE[type(error)]


def to_openai(error: VoxlineError) -> dict[str, OpenAIError]:
    """The body of an OpenAI error reply."""
    entry = row(error)
    return {
        "error": {
            "message": error.message,
            "type": entry.openai_type,
            "param": error.field,
            "code": entry.openai_code,
        }
    }


def to_status(error: VoxlineError) -> grpc.Status:
    """The status that a servicer aborts with; an ErrorInfo (and RetryInfo) detail makes it reversible."""
    entry = row(error)
    info = error_details_pb2.ErrorInfo(reason=entry.openai_code.upper(), domain=DOMAIN)
    if error.field is not None:
        info.metadata["field"] = error.field
    details = [_packed(info)]
    if error.retry_after is not None:
        delay = Duration(seconds=int(error.retry_after), nanos=int(error.retry_after % 1 * 1e9))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    code: int = entry.grpc.value[0]
    return rpc_status.to_status(status_pb2.Status(code=code, message=error.message, details=details))


def from_rpc_error(error: grpc.aio.AioRpcError) -> VoxlineError:
    """The error that the other side raised: same class, message, field and retry time. What did not come from it says
    nothing that may hold an address.
    """
    cls, fields = _BY_STATUS.get(error.code(), GenerationFailed), {}
    message = _MESSAGES[cls]
    retry_after = None
    said = False
    for detail in _details(error):
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            cls, fields, said = _BY_REASON.get(info.reason, cls), dict(info.metadata), True
            message = error.details() or error.code().name
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    ours = cls(message, field=fields.get("field"), retry_after=retry_after)
    # A deadline that came with the request is its own: nothing broke.
    broke = not said and cls is not DeadlineExceeded
    ours.broken = broke and any(key == TAKEN_UP[0][0] for key, _ in error.initial_metadata() or ())
    return ours


def of_stage(error: grpc.aio.AioRpcError) -> VoxlineError:
    """What the error of an inner hop is to the caller outside: its own mistake only where it set the field at fault."""
    said = from_rpc_error(error)
    field = (said.field or "").partition(".")[0]
    if isinstance(said, _OURS) or (isinstance(said, _CALLERS_FAULT) and field not in _CALLERS_FIELDS):
        return GenerationFailed(_MESSAGES[GenerationFailed])
    return said


def _packed(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def _details(error: grpc.aio.AioRpcError) -> list[AnyMessage]:
    """ValueError means that status and trailer disagree, as after a proxy's rewrite: then only the status counts."""
    try:
        status = rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:
        return []
    return [] if status is None else list(status.details)
