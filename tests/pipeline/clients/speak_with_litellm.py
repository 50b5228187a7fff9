"""LiteLLM, unmodified, against a running Voxline: `python speak_with_litellm.py http://HOST:PORT`.

Ends with status 0 and one line of JSON, or with the first failure.
"""

import asyncio
import json
import sys

import litellm

ALLOY = {"voice": "alloy", "input": "Hello there.", "api_base": f"{sys.argv[1]}/v1", "api_key": "unused"}


async def main() -> None:
    sizes = {}
    for encoding in ("mp3", "opus", "aac", "flac", "wav", "pcm"):
        reply = await litellm.aspeech(model="openai/tts-1", response_format=encoding, **ALLOY)
        sizes[encoding] = len(reply.content)
        assert sizes[encoding] > 1000, (encoding, sizes)
    assert litellm.speech(model="openai/gpt-4o-mini-tts", instructions="Speak slowly.", **ALLOY).content
    assert "no voice 'nobody'" in await refused(litellm.NotFoundError, voice="nobody")
    assert "speed" in await refused(litellm.BadRequestError, speed=5.0)
    print(json.dumps(sizes))


async def refused(error: type[Exception], **wrong: object) -> str:
    try:
        await litellm.aspeech(model="openai/tts-1", max_retries=0, **(ALLOY | wrong))
    except error as exc:
        return str(exc)
    raise AssertionError(f"{wrong} was taken")


asyncio.run(main())
