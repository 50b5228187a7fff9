"""A reply: encoded bytes of one request, and what they took."""

import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

from services.contract.sampling import SEEDS, Sampling
from services.gateway.audio.encoders import ENCODERS, Encoder
from services.gateway.audio.tempo import Tempo
from services.gateway.request import Output, Style
from services.runtime.audio import Audio
from services.runtime.errors import InvalidRequest, StageUnavailable
from services.runtime.quoted import quoted
from services.runtime.streams import collected
from services.runtime.turns import Turns

# Of a whole reply, as it is handed on.
_PIECE_BYTES = 256 * 1024


@dataclass
class Usage:
    """Grows while a reply is read; final once its chunks have ended. Tokens of prompts, tokens drawn, audio sent.

    `seed`: what the reply's segments draw from; `retries`: how often a part was drawn anew or taken over by another
    replica; `truncated`: a part was cut at a limit of tokens; `style`: what of the instructions the voice follows.
    """

    seed: int = field(default_factory=lambda: secrets.randbelow(SEEDS))
    input_tokens: int = 0
    output_tokens: int = 0
    audio_seconds: float = 0.0
    retries: int = 0
    truncated: bool = False
    style: Style = field(default_factory=Style)

    @classmethod
    def of(cls, sampling: Sampling) -> "Usage":
        """Of a reply that has begun: its seed is the caller's, else one of its own."""
        return cls() if sampling.seed is None else cls(sampling.seed)


@dataclass(frozen=True)
class Reply:
    """`chunks` holds the bytes of one continuous file; the first have been made already, so an early error was raised
    before this existed. Whoever holds it closes `chunks`. `sample_rate` is the encoded one, in Hz; `size`: bytes in
    all, None where they are not all made.
    """

    encoding: str
    media_type: str
    sample_rate: int
    chunks: AsyncGenerator[bytes, None]
    usage: Usage = field(default_factory=Usage)
    size: int | None = None

    async def whole(self) -> bytes:
        """A whole reply is a fold over its chunks."""
        async with aclosing(self.chunks) as chunks:
            return b"".join([chunk async for chunk in chunks])


class Encoding:
    """Audio at the model's rate -> the bytes that were asked for: tempo, then the encoder, which resamples.

    Raises InvalidRequest for a format that there is not, or that has no such rate; StageUnavailable for audio of
    another rate than the model's. `size`: bytes of a whole reply, once its first chunk is there.
    """

    def __init__(self, output: Output, model_rate: int, turns: Turns) -> None:
        self.sample_rate = output.sample_rate or model_rate
        self._tempo = Tempo(model_rate, output.speed)
        self._model_rate = model_rate
        self._turns = turns
        kind = encoder_kind(output.encoding)
        self.media_type = kind.media_type
        self._whole = output.whole
        self.size: int | None = None
        self._encoder = kind(model_rate, self.sample_rate, whole=output.whole)

    async def chunks(self, source: AsyncGenerator[Audio, None], usage: Usage) -> AsyncGenerator[bytes, None]:
        """Owns `source`; counts what it gives into `usage`. Never an empty chunk; of a whole reply none before all is
        made.
        """
        made = self._made(source, usage)
        async with aclosing(made):
            if not self._whole:
                async for data in made:
                    yield data
                return
            parts = await collected(made)
            parts = [self._encoder.head(sum(map(len, parts))), *parts]
            self.size = sum(map(len, parts))
            for data in parts:
                for piece in _pieces(data):
                    yield piece

    async def _made(self, source: AsyncGenerator[Audio, None], usage: Usage) -> AsyncGenerator[bytes, None]:
        async with aclosing(source):
            async for audio in source:
                if audio.sample_rate != self._model_rate:  # A roll-out ended while the request waited to be admitted.
                    raise StageUnavailable("Another model is served since this was asked for; ask again.")
                await self._turns.take()
                stretched = self._tempo.stretch(audio.samples)
                usage.audio_seconds += len(stretched) / self._model_rate
                if data := self._encoder.encode(stretched):
                    yield data
        rest = self._tempo.flush()
        usage.audio_seconds += len(rest) / self._model_rate
        if data := self._encoder.encode(rest) + self._encoder.flush():
            yield data


def _pieces(data: bytes) -> Iterator[bytes]:
    """A whole file at once would be copied, and put into base64, while every other reply waits."""
    return (data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES))


def encoder_kind(encoding: str) -> type[Encoder]:
    """Raises InvalidRequest with the names that there are."""
    if encoding not in ENCODERS:
        names = ", ".join(ENCODERS)
        raise InvalidRequest(f"There is no audio format {quoted(encoding)}; use one of {names}.", field="encoding")
    return ENCODERS[encoding]
