"""Two verbs on async iterators that every stream needs. Each closes what it consumes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar, cast

T = TypeVar("T")


async def ahead(source: AsyncGenerator[T, None], items: int) -> AsyncGenerator[T, None]:
    """Runs `source` in its own task, at most `items` items ahead of the reader; its error arrives in order."""
    queue: asyncio.Queue[T | None] = asyncio.Queue(maxsize=items)

    async def fill() -> None:
        async with aclosing(source):
            async for item in source:
                await queue.put(item)

    task = asyncio.create_task(fill())
    try:
        while True:
            item = await _next_or_end(queue, task)
            if item is None:
                return
            yield item
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _next_or_end(queue: "asyncio.Queue[T | None]", task: "asyncio.Task[None]") -> T | None:
    """The next item, or None once the task has ended well and the queue is empty; then raises the task's error."""
    if not queue.empty():
        return queue.get_nowait()
    getter = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait({getter, task}, return_when=asyncio.FIRST_COMPLETED)
        if getter.done():
            return getter.result()
    finally:
        getter.cancel()
    if not queue.empty():
        return queue.get_nowait()
    task.result()
    return None


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
