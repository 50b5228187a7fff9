"""Families to come, through the gateway as it is: an end to end reply, the same when replicas are lost in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.contract.frames import CodeFormat, FrameFormat, LatentFormat
from services.contract.generation import ModelVoice
from services.contract.model import (
    BuiltInVoice,
    Capability,
    DetokenizerDescription,
    LlmDescription,
    Revision,
    ServedModel,
    TokenizerDescription,
)
from services.contract.sampling import Sampling
from services.contract.speaker import Speaker
from services.gateway.access.principal import EVERYBODY, entered
from services.gateway.gateway import Gateway, SpeechOptions
from services.gateway.request import NamedVoice, Output, ReferenceVoice, SpeechRequest, Turn
from services.gateway.stages import Stages, Targets
from services.gateway.voices.store import VoiceStore

from .scripted import FRAMES_PER_CHARACTER, Family, Replica

PATIENCE = 60.0
STATE = bytes(8 * 2**20)
SENTENCES = ("This is the first sentence of it.", "And here is the second one.", "The third one ends it.")
TEXT = " ".join(SENTENCES)


def llm(**changes: object) -> LlmDescription:
    facts = {
        "engine": "scripted",
        "capabilities": frozenset(),
        "built_in_voices": (),
        "default_voice": "",
        "max_segment_characters": 36,
        "max_frames": 2048,
    }
    return LlmDescription(**(facts | changes))


def served(name: str, frames: FrameFormat, speaks: LlmDescription, decodes: DetokenizerDescription) -> ServedModel:
    return ServedModel(
        id=name,
        family=name,
        revision=Revision(f"codec of {name}", f"llm of {name}"),
        frames=frames,
        tokenizer=TokenizerDescription("scripted", decodes.sample_rate, 30.0),
        llm=speaks,
        detokenizer=decodes,
    )


def voices(*names: str) -> tuple[BuiltInVoice, ...]:
    return tuple(BuiltInVoice(name, name.title()) for name in names)


# 7 codes a frame, no speaker tokens, voices known by name alone (Orpheus).
NAMED = Family(
    served(
        "seven-codes",
        FrameFormat(12.0, CodeFormat(7, 4096)),
        llm(built_in_voices=voices("tara", "leo"), default_voice="tara"),
        DetokenizerDescription("scripted", 24_000, left_field=3, right_field=0, first_audio_frames=2),
    )
)
# 32 codebooks, earlier turns as context (CSM).
CONTEXT = Family(
    served(
        "context-turns",
        FrameFormat(12.5, CodeFormat(32, 2051)),
        llm(built_in_voices=voices("read-speech-a"), default_voice="read-speech-a", max_context_frames=100),
        DetokenizerDescription("scripted", 24_000, left_field=2000, right_field=0, first_audio_frames=1),
    )
)
# Continuous latents, a speaker's state of megabytes, LLM and vocoder in one process (pocket-tts).
LATENTS = Family(
    served(
        "latents",
        FrameFormat(12.5, LatentFormat(32)),
        llm(capabilities=frozenset({Capability.CLONE})),
        DetokenizerDescription("scripted", 24_000, left_field=10, right_field=0, first_audio_frames=1),
    ),
    speaker=Speaker(STATE),
)
# A whole segment at once (MegaTTS3).
AT_ONCE = Family(
    served(
        "segment-at-once",
        FrameFormat(25.0, LatentFormat(32)),
        llm(capabilities=frozenset({Capability.CLONE}), default_voice=""),
        DetokenizerDescription("scripted", 24_000, left_field=6, right_field=0, first_audio_frames=1),
    ),
    step=0,
    speaker=Speaker(b"phones and durations"),
)
FAMILIES = {family.served.id: family for family in (NAMED, CONTEXT, LATENTS, AT_ONCE)}


@dataclass
class Deployment:
    gateway: Gateway
    replicas: list[Replica]

    async def spoken(self, text: str = TEXT, voice: object = None, whole: bool = False) -> bytes:
        family = self.replicas[0].family
        chosen = voice or (NamedVoice("") if family.served.llm.default_voice else ReferenceVoice(b"a recording"))
        request = SpeechRequest(
            (Turn(text, chosen),), Sampling(seed=7), Output("pcm", family.served.detokenizer.sample_rate, whole=whole)
        )
        async with asyncio.timeout(PATIENCE):
            return await (await self.gateway.speak(request)).whole()


@asynccontextmanager
async def deployed(family: Family, directory, replicas: int = 1) -> AsyncIterator[Deployment]:
    """All stages in each process, behind one address."""
    async with AsyncExitStack() as stack:
        processes = [Replica(family) for _ in range(replicas)]
        for process in processes:
            await process.start()
            stack.push_async_callback(process.stop)
        target = "ipv4:" + ",".join(f"127.0.0.1:{process.port}" for process in processes)
        stages = Stages(Targets(target, target, target), None)
        store = VoiceStore(f"sqlite:///{directory}/voices.db")
        gateway = Gateway(stages, store, SpeechOptions(pause_seconds=0.0), CollectorRegistry())
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        async with asyncio.timeout(PATIENCE):
            while gateway.ready():
                await asyncio.sleep(0.01)
        with entered(EVERYBODY):
            yield Deployment(gateway, processes)


@dataclass
class Killer:
    """Ends the first replica that comes to a place, in the midst of what it does."""

    place: int
    done: bool = False

    def of(self, replica: Replica) -> Callable[[int], Awaitable[None]]:
        async def before(place: int) -> None:
            if not self.done and place >= self.place:
                self.done = True
                await replica.die()

        return before


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def family(request) -> Family:
    return request.param


async def test_a_text_is_spoken_whole(family, tmp_path):
    async with deployed(family, tmp_path) as deployment:
        pcm = await deployment.spoken()
    description = family.served.detokenizer
    seconds = FRAMES_PER_CHARACTER * sum(map(len, SENTENCES)) / family.served.frames.frame_rate
    assert len(pcm) == pytest.approx(2 * seconds * description.sample_rate, abs=2 * description.sample_rate)
    assert np.frombuffer(pcm, "<i2").any()
    assert [request.text for request in deployment.replicas[0].generations] == list(SENTENCES)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("hook", ["before_frames", "before_audio"])
async def test_a_lost_replica_is_not_heard(family, tmp_path, hook, whole):
    async with deployed(family, tmp_path / "one") as undisturbed:
        expected = await undisturbed.spoken(whole=whole)
    at_once = not family.step and hook == "before_frames"
    for place in (0,) if at_once else (0, 5, 17):
        async with deployed(family, tmp_path / f"{hook}-{place}", replicas=2) as deployment:
            killer = Killer(place)
            for replica in deployment.replicas:
                setattr(replica, hook, killer.of(replica))
            assert await deployment.spoken(whole=whole) == expected
            assert killer.done


async def test_a_voice_is_known_by_its_name_alone(tmp_path):
    async with deployed(NAMED, tmp_path) as deployment:
        tara, leo = [await deployment.spoken(voice=NamedVoice(name)) for name in ("tara", "leo")]
        asked = [request.voice for request in deployment.replicas[0].generations]
        assert {voice.id for voice in asked if isinstance(voice, ModelVoice)} == {"tara", "leo"}
        assert all(config.speaker is None for config in deployment.replicas[0].utterances)
        listed = [voice.id for voice in (await deployment.gateway.voices.list()).voices]
    assert tara != leo
    assert listed == ["leo", "tara"]


async def test_the_gateway_fills_the_context_with_the_latest_turns_that_fit(tmp_path):
    async with deployed(CONTEXT, tmp_path) as deployment:
        await deployment.spoken()
        turns = [request.voice.context for request in deployment.replicas[0].generations]
    frames = [FRAMES_PER_CHARACTER * len(sentence) for sentence in SENTENCES]
    assert [[turn.text for turn in context] for context in turns] == [[], [SENTENCES[0]], [SENTENCES[1]]]
    assert frames[0] + frames[1] > CONTEXT.served.llm.max_context_frames >= frames[1]
    assert [len(turn.frames) for context in turns for turn in context] == frames[:2]
    assert {turn.speaker for context in turns for turn in context} == {""}


async def test_turns_of_others_are_told_apart(tmp_path):
    family = Family(
        replace(CONTEXT.served, llm=replace(CONTEXT.served.llm, built_in_voices=voices("a", "b"), default_voice="a"))
    )
    async with deployed(family, tmp_path) as deployment:
        lines = (("a", "One is here."), ("b", "Two is here."), ("a", "Three is here."))
        request = SpeechRequest(tuple(Turn(text, NamedVoice(name)) for name, text in lines), Sampling(seed=1))
        async with aclosing((await deployment.gateway.speak(request)).chunks) as chunks:
            async for _ in chunks:
                pass
        speakers = [[turn.speaker for turn in request.voice.context] for request in deployment.replicas[0].generations]
    assert speakers == [[], ["speaker 1"], ["", "speaker 2"]]


@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_large_state_crosses_the_wire_once_for_each_replica(tmp_path, replicas):
    async with deployed(LATENTS, tmp_path, replicas) as deployment:
        for _ in range(4):
            await deployment.spoken()
        assert all(replica.generations and replica.utterances for replica in deployment.replicas)
        assert [replica.state_bytes for replica in deployment.replicas] == [len(STATE)] * replicas


async def test_a_segment_that_comes_at_once_is_one_message(tmp_path):
    async with deployed(AT_ONCE, tmp_path) as deployment:
        assert await deployment.spoken(whole=True) == await deployment.spoken(whole=False)


async def test_a_model_that_does_not_tell_what_it_is_made_of_is_spoken(tmp_path):
    family = replace(AT_ONCE, served=replace(AT_ONCE.served, revision=Revision()))
    async with deployed(family, tmp_path) as deployment:
        assert await deployment.spoken() == await deployment.spoken()
        assert deployment.replicas[0].recordings == 2
