"""The baseline over HTTP: as much of the OpenAI API as a benchmark asks for."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from bench.baseline.speech import Speech


class Body(BaseModel):
    """Other fields are ignored: there is one voice, and PCM at the model's own rate."""

    model_config = ConfigDict(extra="ignore")

    input: str
    max_tokens: int | None = None


def app(speech: Speech) -> FastAPI:
    made = FastAPI()

    @made.get("/readyz")
    async def ready() -> None: ...

    @made.post("/v1/audio/speech", response_class=StreamingResponse)
    async def create_speech(body: Body) -> StreamingResponse:
        return StreamingResponse(_pcm(speech, body), media_type="audio/pcm")

    return made


async def _pcm(speech: Speech, body: Body) -> AsyncIterator[bytes]:
    async with aclosing(speech.speak(body.input, body.max_tokens)) as chunks:
        async for samples in chunks:
            yield (samples * (2**15 - 1)).astype("<i2").tobytes()
