"""A reply: encoded bytes of one request, and what they took."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field


@dataclass
class Usage:
    """Grows while a reply is read; final once its chunks have ended. Tokens of prompts, tokens drawn, audio sent."""

    input_tokens: int = 0
    output_tokens: int = 0
    audio_seconds: float = 0.0


@dataclass(frozen=True)
class Reply:
    """`chunks` holds the bytes of one continuous file; the first have been made already, so an early error was raised
    before this existed. Whoever holds it closes `chunks`. `sample_rate` is the encoded one, in Hz.
    """

    encoding: str
    media_type: str
    sample_rate: int
    chunks: AsyncGenerator[bytes, None]
    usage: Usage = field(default_factory=Usage)

    async def whole(self) -> bytes:
        """A whole reply is a fold over its chunks."""
        async with aclosing(self.chunks) as chunks:
            return b"".join([chunk async for chunk in chunks])
