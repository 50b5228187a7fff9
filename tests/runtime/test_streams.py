"""`ahead` and `peek` keep order and errors, and close what they consume."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from services.runtime.streams import ahead, collected, peek


class Source:
    def __init__(self, items: int, error: Exception | None = None) -> None:
        self.items, self.error = items, error
        self.produced, self.closed = 0, asyncio.Event()

    async def stream(self) -> AsyncGenerator[int, None]:
        try:
            for item in range(self.items):
                self.produced += 1
                yield item
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


async def test_ahead_keeps_order() -> None:
    assert await collected(ahead(Source(10).stream())) == list(range(10))


async def test_ahead_produces_before_it_is_asked() -> None:
    source = Source(10)
    async with aclosing(ahead(source.stream())) as stream:
        assert await anext(stream) == 0
        await source.closed.wait()
        assert source.produced == 10


async def test_ahead_gives_the_items_before_the_error() -> None:
    received = []
    with pytest.raises(ValueError, match="broken"):
        async for item in ahead(Source(3, ValueError("broken")).stream()):
            received.append(item)
    assert received == [0, 1, 2]


async def test_leaving_ahead_closes_its_source() -> None:
    source = Source(10)
    stream = ahead(source.stream())
    await anext(stream)
    await stream.aclose()
    assert source.closed.is_set()


async def test_peek_raises_an_early_error_before_anything_is_read() -> None:
    source = Source(0, ValueError("early"))
    with pytest.raises(ValueError, match="early"):
        await peek(source.stream())
    assert source.closed.is_set()


@pytest.mark.parametrize("items", [0, 1, 4])
async def test_peek_loses_nothing(items: int) -> None:
    assert await collected(await peek(Source(items).stream())) == list(range(items))


async def test_leaving_a_peeked_stream_closes_its_source() -> None:
    source = Source(4)
    stream = await peek(source.stream())
    await anext(stream)
    await stream.aclose()
    assert source.closed.is_set()


async def test_peeked_stream_that_was_never_read_closes_its_source() -> None:
    source = Source(4)
    stream = await peek(source.stream())
    await stream.aclose()
    assert source.closed.is_set()
