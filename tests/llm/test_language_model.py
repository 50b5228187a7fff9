from collections.abc import AsyncGenerator

import pytest
from prometheus_client import CollectorRegistry

from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.contract.generation import GenerationRequest, HeardVoice, Pace, Prefix, Progress
from services.contract.sampling import Sampling
from services.llm.engines.scripted import Script, ScriptedEngine
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.runtime.watchdog import Watchdog

# Ids of the tiny checkpoint.
SEMANTIC, START_SEMANTIC, END = 695, 1292, 436
PACE = Pace(first_frames=3, frames_per_second=50)
VOICE = HeardVoice(SparkSpeaker(tuple(range(8))).speaker())


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def model(tiny_family: Family, registry: CollectorRegistry) -> LanguageModel:
    """Of nine frames, which are drawn one at a time."""
    ids = (START_SEMANTIC, *range(SEMANTIC, SEMANTIC + 9), END)
    engine = ScriptedEngine(tiny_family.engine_model, Script(tuple((token,) for token in ids)))
    return LanguageModel(tiny_family, engine, LlmMetrics(registry, engine), max_waiting=1, watchdog=Watchdog(0))


def asked(pace: Pace | None = PACE, prefix: Prefix | None = None) -> GenerationRequest:
    return GenerationRequest(text="Hi", voice=VOICE, sampling=Sampling(seed=1), pace=pace, prefix=prefix)


async def told(generation: AsyncGenerator[Progress, None]) -> list[Progress]:
    return [progress async for progress in generation]


async def test_speaker_comes_with_the_first_frames_and_the_finish_with_the_last(model: LanguageModel) -> None:
    first, last = await told(model.generate(asked()))
    assert first.speaker == VOICE.speaker
    assert first.frames == Frames.of_codes([0, 1, 2])
    assert first.finish is None
    assert last.speaker is None
    assert last.frames == Frames.of_codes([3, 4, 5, 6, 7, 8], first=3)
    assert last.finish is not None


async def test_frames_without_a_pace_come_as_they_are_drawn(model: LanguageModel) -> None:
    whole = await told(model.generate(asked(None)))
    assert [len(progress.frames) if progress.frames else 0 for progress in whole] == [0, *[1] * 9, 0]


@pytest.mark.parametrize(("frames", "ahead", "first"), [(3, -1.0, 1), (3, 9.0, 6), (1, 9.0, 2)])
async def test_play_head_goes_on_where_it_was(model: LanguageModel, frames: int, ahead: float, first: int) -> None:
    """The listener waits for the next frame, or has many; or it still has no first sound."""
    start, *_ = await told(model.generate(asked()))
    assert start.resume is not None
    prefix = Prefix(Frames.of_codes(range(frames)), start.resume)
    rest = await told(model.generate(asked(Pace(3, 50, ahead), prefix)))
    assert rest[0].frames == Frames.of_codes(range(frames, frames + first), first=frames)


@pytest.mark.parametrize(("messages", "end"), [(1, "cancelled"), (2, "stop")])
async def test_who_has_the_finish_and_leaves_cancels_nothing(
    model: LanguageModel, registry: CollectorRegistry, messages: int, end: str
) -> None:
    generation = model.generate(asked())
    for _ in range(messages):
        await anext(generation)
    await generation.aclose()
    assert registry.get_sample_value("voxline_llm_generations_total", {"end": end}) == 1
    assert registry.get_sample_value("voxline_llm_first_token_seconds_count") == 1
