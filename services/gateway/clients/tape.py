"""Codes that can be played again: what a stage has been sent is still there when the stage is lost."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.gateway.tokens import Codes


class Tape:
    """Records `source`, which it owns, in a task of its own; `async with` ends it."""

    def __init__(self, source: AsyncGenerator[Codes, None]) -> None:
        self._source = source
        self._recorded: list[Codes] = []
        self._grown = asyncio.Event()

    async def __aenter__(self) -> "Tape":
        self._recording = asyncio.create_task(self._record())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._recording.cancel()
        await asyncio.gather(self._recording, return_exceptions=True)

    @property
    def broken(self) -> bool:
        """Whether the source has failed: playing again would end in its error again."""
        return self._recording.done() and self._recording.exception() is not None

    async def play(self) -> AsyncGenerator[Codes, None]:
        """From the start, as far as it is recorded and as it goes on; then the source's error, if it had one."""
        place = 0
        while True:
            self._grown.clear()
            while place < len(self._recorded):
                yield self._recorded[place]
                place += 1
            if self._recording.done():
                self._recording.result()
                return
            await self._grown.wait()

    async def _record(self) -> None:
        try:
            async with aclosing(self._source):
                async for codes in self._source:
                    self._recorded.append(codes)
                    self._grown.set()
        finally:
            self._grown.set()
