from collections.abc import AsyncGenerator

import pytest
from prometheus_client import CollectorRegistry

from services.llm.engines.scripted import Script, ScriptedEngine
from services.llm.events import CodesDrawn, Event, Finished, SpeakerNamed
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.llm.pace import Pace
from services.llm.sampling import ResolvedSampling
from services.llm.voices import ClonedVoice, Speaker

# Ids of the tiny checkpoint.
SEMANTIC, START_SEMANTIC, END = 695, 1292, 436
PACE = Pace(first_codes=3, codes_per_second=50)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def generation(tiny_family: Family, registry: CollectorRegistry) -> AsyncGenerator[tuple[Event, ...], None]:
    """Of five codes, which are drawn one at a time."""
    ids = (START_SEMANTIC, *range(SEMANTIC, SEMANTIC + 5), END)
    engine = ScriptedEngine(tiny_family.engine_model, Script(tuple((token,) for token in ids)))
    model = LanguageModel(tiny_family, engine, LlmMetrics(registry, engine), max_waiting=1)
    prompt = tiny_family.prompt("Hi", ClonedVoice(Speaker(tuple(range(8)))))
    return model.generate(prompt, ResolvedSampling(max_tokens=20), PACE)


async def test_speaker_comes_with_the_first_codes_and_the_finish_with_the_last(
    generation: AsyncGenerator[tuple[Event, ...], None],
) -> None:
    first, last = [events async for events in generation]
    assert [type(event) for event in first] == [SpeakerNamed, CodesDrawn]
    assert first[1] == CodesDrawn((0, 1, 2))
    assert [type(event) for event in last] == [CodesDrawn, Finished]
    assert last[0] == CodesDrawn((3, 4))


@pytest.mark.parametrize(("messages", "end"), [(1, "cancelled"), (2, "stop")])
async def test_who_has_the_finish_and_leaves_cancels_nothing(
    generation: AsyncGenerator[tuple[Event, ...], None], registry: CollectorRegistry, messages: int, end: str
) -> None:
    for _ in range(messages):
        await anext(generation)
    await generation.aclose()
    assert registry.get_sample_value("voxline_llm_generations_total", {"end": end}) == 1
    assert registry.get_sample_value("voxline_llm_first_token_seconds_count") == 1
