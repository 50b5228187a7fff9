"""The baseline speaks with the same layers, in its own way of serving."""

import asyncio
from pathlib import Path

import httpx
import pytest

from bench.baseline.server import app
from bench.baseline.speech import Speech

HOP = 320


@pytest.fixture(scope="module")
def speech(folder: Path) -> Speech:
    return Speech.load(folder)


@pytest.mark.parametrize("frames", [20, 50, 130])
async def test_every_code_is_heard_once(speech: Speech, frames: int) -> None:
    """The random model never stops before it must, and draws nothing but codes."""
    chunks = [samples async for samples in speech.speak("A few words.", frames)]
    assert sum(map(len, chunks)) == frames * HOP


async def test_first_chunk_is_a_second_without_its_overlap(speech: Speech) -> None:
    chunks = [samples async for samples in speech.speak("A few words.", 130)]
    assert [len(samples) // HOP for samples in chunks] == [45, 85]


async def test_requests_at_once_are_all_answered_in_pcm(speech: Speech) -> None:
    transport = httpx.ASGITransport(app(speech))
    async with httpx.AsyncClient(transport=transport, base_url="http://baseline") as client:
        body = {"input": "A few words.", "max_tokens": 60, "voice": "anybody", "response_format": "pcm"}
        replies = await asyncio.gather(*(client.post("/v1/audio/speech", json=body) for _ in range(3)))
    assert [len(reply.content) for reply in replies] == [60 * HOP * 2] * 3
