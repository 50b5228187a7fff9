"""Replicas die under speech, and nobody hears it: the bytes are those of an undisturbed run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest
import pytest_asyncio

from bench.replicas import Replicas, running_gateway, running_replicas
from services.contract.sampling import Sampling
from services.gateway.gateway import Gateway
from services.gateway.request import NamedVoice, Output, SpeechRequest, Turn

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = (
    "The river runs past the old mill, and the road follows it to the sea.",
    "How late is it, and who rings so early in the morning of a holiday?",
    "The first part of it comes before the noon. The second part of it has to wait a little longer. "
    "The third part comes when nobody waits for it.",
    "Nobody had seen the letter before, and nobody wanted to be the one who reads it aloud.",
)
WHOLE, STREAMED = 20, 6


@dataclass(frozen=True)
class Speech:
    text: str
    seed: int
    whole: bool

    def request(self) -> SpeechRequest:
        turn = Turn(self.text, NamedVoice("female" if self.seed % 2 else "male"))
        return SpeechRequest((turn,), Sampling(seed=self.seed), Output("pcm", whole=self.whole))


SPEECHES = [Speech(TEXTS[seed % len(TEXTS)], seed, whole=True) for seed in range(WHOLE)] + [
    Speech(TEXTS[seed % len(TEXTS)], seed, whole=False) for seed in range(STREAMED)
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replicas() -> AsyncIterator[Replicas]:
    async with running_replicas({"tokenizer": 1, "llm": 2, "detokenizer": 2}) as running:
        yield running


async def spoken(gateway: Gateway, speech: Speech, progress: asyncio.Condition) -> tuple[bytes, int]:
    """The bytes, and how often a part was taken over by another replica."""
    reply = await gateway.speak(speech.request())
    chunks = []
    async with aclosing(reply.chunks) as stream:
        async for chunk in stream:
            chunks.append(chunk)
            async with progress:
                progress.notify_all()
    return b"".join(chunks), reply.usage.retries


async def all_spoken(gateway: Gateway, progress: asyncio.Condition) -> list[tuple[bytes, int]]:
    return await asyncio.gather(*(spoken(gateway, speech, progress) for speech in SPEECHES))


async def killed_in_turn(replicas: Replicas, progress: asyncio.Condition) -> None:
    """Each of them once, while speech is under way, and back before the next goes."""
    for place in range(2):
        for stage in ("llm", "detokenizer"):
            async with progress:
                await progress.wait()
            await replicas.processes[stage][place].kill()
            await replicas.processes[stage][place].start()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("look_ahead", [0, None, -1], ids=["none", "usual", "full"])
async def test_bytes_are_those_of_an_undisturbed_run(replicas: Replicas, tmp_path, look_ahead: int | None) -> None:
    progress = asyncio.Condition()
    async with running_gateway(replicas.targets, tmp_path, look_ahead) as gateway:
        undisturbed = await all_spoken(gateway, progress)
        killer = asyncio.create_task(killed_in_turn(replicas, progress))
        retries = 0
        while not killer.done():
            disturbed = await all_spoken(gateway, progress)
            wrong = [
                speech
                for speech, one, other in zip(SPEECHES, undisturbed, disturbed, strict=True)
                if one[0] != other[0]
            ]
            assert wrong == []
            retries += sum(count for _, count in disturbed)
        await killer
    assert retries > 0, "no kill came while a replica was at work"
