"""The ways to call a stage. Each forwards request id, trace and deadline, maps the stage's error back to ours,
and cancels the RPC whenever its caller stops reading: breaking out of a bare gRPC stream would leave it running.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

import grpc

from services.runtime import request_context
from services.runtime.errors import StageUnavailable, VoxlineError, of_stage

logger = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")


async def unary(
    method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request, level: int = logging.WARNING
) -> Response:
    """`level`: of the log line that a failure gets which callers are not told of."""
    options = _options()
    with _our_errors(level):
        return await method(request, timeout=options.timeout, metadata=options.metadata)


async def duplex(
    method: "grpc.aio.StreamStreamMultiCallable[Request, Response]", requests: AsyncGenerator[Request, None]
) -> AsyncGenerator[Response, None]:
    """Feeds `requests`, which it owns, from its own task. An error of `requests` ends the call and is raised here."""
    options = _options()
    call = method(None, timeout=options.timeout, metadata=options.metadata)
    feeder = _Feeder(call, requests)
    try:
        with _our_errors():
            async for response in feeder.responses():
                yield response
    finally:
        call.cancel()
        await feeder.stop()


async def duplex_of_one(
    method: "grpc.aio.StreamStreamMultiCallable[Request, Response]", request: Request
) -> AsyncGenerator[Response, None]:
    """The same with one request, which is all that is sent: it needs no task."""
    options = _options()
    call = method(None, timeout=options.timeout, metadata=options.metadata)
    try:
        with _our_errors():
            if await _accepted(_send(call, request)):
                await _accepted(call.done_writing())
            async for response in call:
                yield response
    finally:
        call.cancel()


class _Feeder(Generic[Request, Response]):
    def __init__(
        self, call: "grpc.aio.StreamStreamCall[Request, Response]", requests: AsyncGenerator[Request, None]
    ) -> None:
        self._call = call
        self._requests = requests
        self._task = asyncio.create_task(self._feed())

    async def _feed(self) -> None:
        try:
            async for request in self._requests:
                if not await _accepted(_send(self._call, request)):
                    return
            await _accepted(self._call.done_writing())
        except BaseException:  # Cancellation too: or else the RPC would go on without us.
            self._call.cancel()
            raise

    async def responses(self) -> AsyncIterator[Response]:
        try:
            async for response in self._call:
                yield response
        except asyncio.CancelledError:
            if self._task.done() and not self._task.cancelled():
                self._task.result()
            raise

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._requests.aclose()


async def _accepted(operation: Awaitable[None]) -> bool:
    """False when the call has ended: its own status says why, and the reader sees it."""
    try:
        await operation
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.InternalError):
        return False
    return True


async def _send(call: Any, request: object) -> None:
    """`call.write(request)`, but for one thing: when the server has just ended the call, grpcio puts "Internal
    error from Core" in place of the status that is about to come (grpc/aio/_call.py, _StreamRequestMixin._write).
    """
    await call.wait_for_connection()
    if call.done():
        raise asyncio.InvalidStateError
    await call._cython_call.send_serialized_message(call._request_serializer(request))


class _Options(NamedTuple):
    timeout: float | None
    metadata: tuple[tuple[str, str], ...] | None


def _options() -> _Options:
    request = request_context.current()
    return _Options(None, None) if request is None else _Options(request.time_remaining(), request.metadata())


@contextmanager
def _our_errors(level: int = logging.WARNING) -> Iterator[None]:
    """What callers are not told is logged."""
    try:
        yield
    except grpc.aio.AioRpcError as exc:
        raise _told(of_stage(exc), exc, level) from exc


def _told(error: VoxlineError, exc: grpc.aio.AioRpcError, level: int) -> VoxlineError:
    if error.message != exc.details():
        # A replica that is away is looked for many times; that it is away is told elsewhere, once.
        level = logging.DEBUG if isinstance(error, StageUnavailable) else level
        logger.log(level, "a call to a stage failed: %s %s", exc.code().name, exc.details())
    return error
