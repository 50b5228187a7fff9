"""A reply as server-sent events, in the form of OpenAI's `stream_format: "sse"`."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.gateway.reply import Reply
from services.runtime.errors import VoxlineError, to_openai

MEDIA_TYPE = "text/event-stream"
# Without the second header nginx buffers events before it passes them on.
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


async def events(reply: Reply) -> AsyncGenerator[bytes, None]:
    """Owns the chunks of `reply`. An error is sent as the last event and raised again, so that the body has no clean
    end.
    """
    async with aclosing(reply.chunks) as chunks:
        try:
            async for chunk in chunks:
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()})
        except VoxlineError as error:
            yield b"event: error\n" + _event({"type": "error", **to_openai(error)})
            raise
    reason = "length" if reply.usage.truncated else "stop"
    yield _event({"type": "speech.audio.done", "usage": _usage(reply), "finish_reason": reason})


def _usage(reply: Reply) -> dict[str, int]:
    read, drawn = reply.usage.input_tokens, reply.usage.output_tokens
    return {"input_tokens": read, "output_tokens": drawn, "total_tokens": read + drawn}


def _event(data: dict[str, object]) -> bytes:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
