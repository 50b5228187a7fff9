"""The three ways to call a stage. Each forwards request id, trace and deadline, maps the stage's error back to ours,
and cancels the RPC whenever its caller stops reading: breaking out of a bare gRPC stream would leave it running.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

import grpc

from services.runtime import request_context
from services.runtime.errors import StageUnavailable, from_rpc_error

# What grpcio puts in place of the server's status when the call ends within about 0.1 ms of a write.
_LOST_STATUS = "Internal error from Core"

Request = TypeVar("Request")
Response = TypeVar("Response")


async def unary(method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
    options = _options()
    with _our_errors():
        return await method(request, timeout=options.timeout, metadata=options.metadata)


async def server_stream(
    method: "grpc.aio.UnaryStreamMultiCallable[Request, Response]", request: Request
) -> AsyncGenerator[Response, None]:
    options = _options()
    call = method(request, timeout=options.timeout, metadata=options.metadata)
    try:
        with _our_errors():
            async for response in call:
                yield response
    finally:
        call.cancel()


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
                if not await self._accepted(request):
                    return
            await self._call.done_writing()
        except BaseException:
            self._call.cancel()
            raise

    async def _accepted(self, request: Request) -> bool:
        """False when the call has ended: its own status says why, and the reader sees it."""
        try:
            await self._call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return False
        return True

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


class _Options(NamedTuple):
    timeout: float | None
    metadata: tuple[tuple[str, str], ...] | None


def _options() -> _Options:
    request = request_context.current()
    return _Options(None, None) if request is None else _Options(request.time_remaining(), request.metadata())


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as exc:
        if exc.details() == _LOST_STATUS:
            raise StageUnavailable("The stage ended the call while it was being fed.") from exc
        raise from_rpc_error(exc) from exc
