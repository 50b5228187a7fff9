"""Two verbs on async iterators that every stream needs. Each closes what it consumes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar, cast

from services.runtime.errors import DeadlineExceeded

T = TypeVar("T")


async def ahead(source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Runs `source` in its own task, as far ahead of the reader as it goes by itself; its error arrives in order."""
    queue: asyncio.Queue[T | None] = asyncio.Queue()

    async def fill() -> None:
        async with aclosing(source):
            async for item in source:
                queue.put_nowait(item)

    task = asyncio.create_task(fill())
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (item := await queue.get()) is not None:
            yield item
        task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True)
class Pause:
    """Nothing has come for a while."""


async def with_pauses(source: AsyncGenerator[T, None], seconds: float | None) -> AsyncGenerator[T | Pause, None]:
    """`source`, with a Pause where the next item takes longer than `seconds`; None: never. No item is None."""

    async def following() -> T | None:
        return await anext(source, None)

    async with aclosing(source):
        while True:
            coming = asyncio.create_task(following())
            try:
                done, _ = await asyncio.wait((coming,), timeout=seconds)
                if not done:
                    yield Pause()
                if (item := await coming) is None:
                    return
                yield item
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)


async def within(source: AsyncGenerator[T, None], seconds: float) -> AsyncGenerator[T, None]:
    """`source`, which must give something every so many seconds. Raises DeadlineExceeded."""
    async with aclosing(source):
        while True:
            try:
                async with asyncio.timeout(seconds):
                    item = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError as exc:
                raise DeadlineExceeded(f"Nothing came for {seconds:g} s.") from exc
            yield item


async def peek(source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Waits for the first item, so that an early error is raised here, before anything was promised to a listener.

    The stream that comes back starts with that item and owns `source`. An empty source gives an empty stream.
    """
    stream = _peeked(source)
    await anext(stream)
    return stream


async def _peeked(source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Gives a mark once the first item is there: a generator that was never started would not close its source."""
    async with aclosing(source):
        try:
            first = [await anext(source)]
        except StopAsyncIteration:
            first = []
        yield cast(T, None)
        for item in first:
            yield item
        async for item in source:
            yield item


async def collected(source: AsyncIterator[T]) -> list[T]:
    """A whole reply is a fold over the stream."""
    return [item async for item in source]
