"""One interceptor around every RPC of every kind: request context, errors by the table, metrics, one log line.

`aclosing` everywhere: a stream that is dropped closes its handler's generator at once.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    asynccontextmanager,
    nullcontext,
)
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message

from services.runtime.errors import TAKEN_UP, Cancelled, GenerationFailed, InvalidRequest, VoxlineError, row, to_status
from services.runtime.message_size import MessageLimits
from services.runtime.metrics import RpcMetrics
from services.runtime.request_context import RequestContext, entered
from services.runtime.traces import let_go

logger = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")
Around = Callable[["grpc.aio.ServicerContext[Request, Response]"], AbstractAsyncContextManager[None]]

_STAGES = "/voxline.stages."
_UNLOGGED = "/grpc.health."
_ASKED_NOW_AND_THEN = "/voxline.stages.v1.ModelService/GetModel"

# Asked before a message is read; what it gives is entered for the length of the call. Raises our errors.
Entrance = Callable[[grpc.HandlerCallDetails], Awaitable[AbstractContextManager[None]]]


async def unguarded(details: grpc.HandlerCallDetails) -> AbstractContextManager[None]:
    return nullcontext()


# The stubs make it generic, the library does not.
if TYPE_CHECKING:
    _ServerInterceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _ServerInterceptor = grpc.aio.ServerInterceptor


class RpcInterceptor(_ServerInterceptor):
    """`limits`: of the messages that come; None where those who send them are trusted."""

    def __init__(
        self, metrics: RpcMetrics, limits: MessageLimits | None = None, entrance: Entrance = unguarded
    ) -> None:
        self._metrics = metrics
        self._limits = limits
        self._entrance = entrance

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Request, Response]"]],
        details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Request, Response]":
        handler = await continuation(details)
        if handler is None or details.method.startswith(_UNLOGGED):
            return handler
        try:
            entered_call = await self._entrance(details)
        except VoxlineError as error:
            handler, entered_call = _refusal(error), nullcontext()
        read = handler.request_deserializer
        assert read is not None
        return _wrapped(
            handler,
            _readable(_bounded(read, self._limits) if self._limits else read),
            details.method,
            lambda context: self._around(details.method, entered_call, context),
        )

    @asynccontextmanager
    async def _around(
        self,
        method: str,
        entered_call: AbstractContextManager[None],
        context: "grpc.aio.ServicerContext[Request, Response]",
    ) -> AsyncIterator[None]:
        started = time.monotonic()
        code = grpc.StatusCode.OK
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        with entered(RequestContext.from_metadata(metadata, context.time_remaining())):
            self._metrics.in_flight.labels(method).inc()
            try:
                with entered_call:
                    yield
            except asyncio.CancelledError as exc:
                code = row(Cancelled("")).grpc
                if context.cancelled():
                    raise
                # By us: the caller waits for an end.
                await context.abort(code, str(exc) or "The call was ended.")
            except grpc.aio.AbortError:
                code = grpc.StatusCode.UNKNOWN
                raise
            except Exception as exc:  # The outermost edge of every RPC: whatever is unforeseen becomes the last row.
                status, code = _as_status(exc)
                let_go(exc)
                await context.abort(status.code, status.details, status.trailing_metadata or ())
            finally:
                self._observe(method, code, time.monotonic() - started)

    def _observe(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        self._metrics.in_flight.labels(method).dec()
        self._metrics.requests.labels(method, code.name).inc()
        self._metrics.seconds.labels(method).observe(seconds)
        level = logging.DEBUG if method == _ASKED_NOW_AND_THEN else logging.INFO
        logger.log(level, "rpc", extra={"method": method, "code": code.name, "seconds": round(seconds, 4)})


def _ours(exc: Exception) -> VoxlineError:
    if isinstance(exc, VoxlineError):
        return exc
    logger.error("unforeseen error", exc_info=exc)
    return GenerationFailed("An internal error happened; the log has its trace under this request id.")


def _as_status(exc: Exception) -> tuple[grpc.Status, grpc.StatusCode]:
    """Without the error: a name for it where it was caught would hold it, and all that it passed through, until the
    collector comes by.
    """
    error = _ours(exc)
    return to_status(error), row(error).grpc


def _refusal(error: VoxlineError) -> "grpc.RpcMethodHandler[Any, Any]":
    """Of a stream in both directions, whatever the method is: such a handler begins before a message has come."""

    async def refuse(requests: object, context: object) -> AsyncIterator[Message]:
        raise error
        yield Empty()

    return grpc.stream_stream_rpc_method_handler(refuse, Empty.FromString, Empty.SerializeToString)


def _readable(parse: "Callable[[bytes], Request]") -> "Callable[[bytes], Request]":
    def read(data: bytes) -> Request:
        try:
            return parse(data)
        except DecodeError as exc:
            raise InvalidRequest("The message is none of this method.") from exc

    return read


def _bounded(parse: "Callable[[bytes], Request]", limits: MessageLimits) -> "Callable[[bytes], Request]":
    """`parse` is the FromString of a message class."""
    cls: type[Message] = parse.__self__  # type: ignore[attr-defined]  # A bound class method.

    def read(data: bytes) -> Request:
        limits.check(data, cls)
        return parse(data)

    return read


def _wrapped(
    handler: "grpc.RpcMethodHandler[Request, Response]",
    read: Callable[[bytes], Request],
    method: str,
    around: "Around[Request, Response]",
) -> "grpc.RpcMethodHandler[Request, Response]":
    """The same handler with `around` entered for the length of the call. A stage's stream says that it was taken up.

    A single request is read in it too, so that an error of reading arrives as itself.
    """
    early = read if handler.request_streaming else None
    late: Callable[[Any], Any] = (lambda request: request) if handler.request_streaming else read
    make: Callable[..., grpc.RpcMethodHandler[Request, Response]]
    if handler.response_streaming:
        stream = cast(
            "Callable[[object, grpc.aio.ServicerContext[Request, Response]], AsyncGenerator[Response, None]]",
            handler.stream_stream if handler.request_streaming else handler.unary_stream,
        )

        async def respond(request: object, context: "grpc.aio.ServicerContext[Request, Response]") -> None:
            if method.startswith(_STAGES):
                await context.send_initial_metadata(TAKEN_UP)
            async with around(context), aclosing(stream(late(request), context)) as responses:
                async for response in responses:
                    await context.write(response)  # Not yielded: what ends the wait for a listener is raised here.

        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(respond, early, handler.response_serializer)

    single = cast(
        "Callable[[object, grpc.aio.ServicerContext[Request, Response]], Awaitable[Response]]",
        handler.stream_unary if handler.request_streaming else handler.unary_unary,
    )

    async def answer(request: object, context: "grpc.aio.ServicerContext[Request, Response]") -> Response:
        async with around(context):
            return await single(late(request), context)
        raise AssertionError("an RPC context never swallows an error")

    make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
    return make(answer, early, handler.response_serializer)
