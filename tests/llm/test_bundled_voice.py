"""The bundled voice on the default engine, from text to events."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from services.llm.engines import default_engine, default_precision, engine_loader
from services.llm.engines.engine import EngineOptions
from services.llm.events import CodesDrawn, Finished, FinishReason, SpeakerNamed
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.llm.sampling import Sampling
from services.llm.voices import ClonedVoice, Design, DesignedVoice, Gender, Speaker, Voice

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "A bright new morning begins."
FEMALE, MALE = Design(Gender.FEMALE), Design(Gender.MALE)
Utterance = tuple[Speaker, tuple[int, ...], Finished]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(small_family: Family, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LanguageModel]:
    cache = tmp_path_factory.mktemp("cache")
    name = default_engine(small_family.engine_model, cache)
    options = EngineOptions(default_precision(name), threads=1, max_batch=4, cache_directory=cache)
    engine = await engine_loader(name).load(small_family.engine_model, options)
    yield LanguageModel(small_family, engine, LlmMetrics(CollectorRegistry(), engine), max_waiting=8)
    await engine.close()


async def spoken(
    model: LanguageModel, text: str, voice: Voice, *, seed: int = 1, temperature: float = 0.8
) -> Utterance:
    prompt = model.family.prompt(text, voice)
    limits = prompt.limits
    sampling = Sampling(max_tokens=limits.usual_most, min_tokens=limits.shortest, seed=seed, temperature=temperature)
    events = [event async for chunk in model.generate(prompt, sampling) for event in chunk]
    first, last = events[0], events[-1]
    assert isinstance(first, SpeakerNamed)
    assert isinstance(last, Finished)
    codes = tuple(code for event in events[1:-1] if isinstance(event, CodesDrawn) for code in event.codes)
    return first.speaker, codes, last


async def test_pinned_voice_goes_on_as_the_voice_that_was_made_up(model: LanguageModel) -> None:
    speaker, codes, _ = await spoken(model, TEXT, DesignedVoice(FEMALE), temperature=0.0)
    again, pinned, _ = await spoken(model, TEXT, DesignedVoice(FEMALE, speaker), temperature=0.0)
    assert again == speaker
    assert pinned == codes


async def test_designs_differ_in_their_speaker(model: LanguageModel) -> None:
    female, _, _ = await spoken(model, TEXT, DesignedVoice(FEMALE))
    male, _, _ = await spoken(model, TEXT, DesignedVoice(MALE))
    assert female.global_tokens != male.global_tokens


async def test_sentence_ends_by_itself_within_its_bound(model: LanguageModel) -> None:
    for seed in range(4):
        _, codes, finish = await spoken(model, TEXT, DesignedVoice(FEMALE), seed=seed)
        assert finish.reason is FinishReason.STOP
        assert 25 < len(codes) < 200


@pytest.mark.parametrize("text", [".", "?!", "…", "a"])
async def test_next_to_nothing_is_short_but_audible(model: LanguageModel, text: str) -> None:
    for voice in (DesignedVoice(FEMALE), DesignedVoice(MALE)):
        _, codes, finish = await spoken(model, text, voice)
        assert 1 <= len(codes) <= 130
        assert finish.completion_tokens <= 150


async def test_cloned_voice_speaks_without_a_transcript(model: LanguageModel) -> None:
    speaker, _, _ = await spoken(model, TEXT, DesignedVoice(MALE))
    cloned = Speaker(speaker.global_tokens)
    named, codes, finish = await spoken(model, TEXT, ClonedVoice(cloned))
    assert named == cloned
    assert len(codes) > 25
    assert finish.reason is FinishReason.STOP
