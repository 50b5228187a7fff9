"""A text that is still being written, spoken sentence by sentence."""

import asyncio

import numpy as np

from services.gateway.reply import Usage
from services.gateway.request import Flush, NamedVoice, TextStreamRequest

from .conftest import heard, spoken


class Writer:
    """A text that is written piece by piece, when the test says so."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue = asyncio.Queue()
        self.closed = False

    async def pieces(self):
        try:
            while (piece := await self.queue.get()) is not None:
                yield piece
        finally:
            self.closed = True

    def write(self, *pieces) -> None:
        for piece in pieces:
            self.queue.put_nowait(piece)


async def test_streamed_sentence_is_heard_before_the_text_ends(synthesis):
    writer = Writer()
    stream = synthesis.speak_stream(TextStreamRequest(NamedVoice("")), writer.pieces(), Usage())
    writer.write("Hello th", "ere. The ne")
    got = [(await anext(stream)).samples]
    while spoken(np.concatenate(got)) != "Hello there.":
        got.append((await anext(stream)).samples)
    writer.write("xt one", Flush())
    while not spoken(np.concatenate(got)).endswith("The next one"):
        got.append((await anext(stream)).samples)
    writer.write(" is done.", None)
    assert await heard(stream) == "is done."


async def test_leaving_a_text_stream_closes_its_text(synthesis, doubles):
    writer = Writer()
    stream = synthesis.speak_stream(TextStreamRequest(NamedVoice("")), writer.pieces(), Usage())
    writer.write("Hello.", Flush())
    await anext(stream)
    await stream.aclose()
    assert writer.closed
    await doubles.detokenizer.live.until(0)
