"""The bundled voice on the default engine, from text to events."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from services.contract.design import DesignedVoice, Gender
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import joined
from services.contract.generation import Finish, FinishReason, GenerationRequest, HeardVoice, MadeUpVoice, VoiceInput
from services.contract.sampling import Sampling
from services.contract.speaker import Speaker
from services.llm.engines import default_engine, default_precision, engine_loader
from services.llm.engines.engine import EngineOptions
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.runtime.watchdog import Watchdog

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "A bright new morning begins."
FEMALE, MALE = MadeUpVoice(DesignedVoice(Gender.FEMALE)), MadeUpVoice(DesignedVoice(Gender.MALE))
Utterance = tuple[Speaker, list[int], Finish]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(small_family: Family, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LanguageModel]:
    cache = tmp_path_factory.mktemp("cache")
    name = default_engine(small_family.engine_model, cache)
    options = EngineOptions(default_precision(name), threads=1, max_batch=4, cache_directory=cache)
    engine = await engine_loader(name).load(small_family.engine_model, options)
    metrics = LlmMetrics(CollectorRegistry(), engine)
    yield LanguageModel(small_family, engine, metrics, max_waiting=8, watchdog=Watchdog(0))
    await engine.close()


async def spoken(
    model: LanguageModel, text: str, voice: VoiceInput, *, seed: int = 1, temperature: float = 0.8
) -> Utterance:
    sampling = Sampling(min_tokens=0, seed=seed, temperature=temperature)
    request = GenerationRequest(text=text, voice=voice, sampling=sampling)
    progress = [each async for each in model.generate(request)]
    speaker = next(each.speaker for each in progress if each.speaker is not None)
    finish = progress[-1].finish
    assert finish is not None
    return speaker, joined(each.frames for each in progress if each.frames is not None).codes, finish


async def test_pinned_voice_goes_on_as_the_voice_that_was_made_up(model: LanguageModel) -> None:
    speaker, codes, _ = await spoken(model, TEXT, FEMALE, temperature=0.0)
    again, pinned, _ = await spoken(model, TEXT, MadeUpVoice(FEMALE.design, speaker), temperature=0.0)
    assert again == speaker
    assert pinned == codes


async def test_designs_differ_in_their_speaker(model: LanguageModel) -> None:
    female, _, _ = await spoken(model, TEXT, FEMALE)
    male, _, _ = await spoken(model, TEXT, MALE)
    assert female.global_tokens != male.global_tokens


async def test_sentence_ends_by_itself_within_its_bound(model: LanguageModel) -> None:
    for seed in range(4):
        _, codes, finish = await spoken(model, TEXT, FEMALE, seed=seed)
        assert finish.reason is FinishReason.STOP
        assert 25 < len(codes) < 200


@pytest.mark.parametrize("text", [".", "?!", "…", "a"])
async def test_next_to_nothing_is_short_but_audible(model: LanguageModel, text: str) -> None:
    for voice in (FEMALE, MALE):
        _, codes, finish = await spoken(model, text, voice)
        assert 1 <= len(codes) <= 130
        assert finish.completion_tokens <= 150


async def test_cloned_voice_speaks_without_a_transcript(model: LanguageModel) -> None:
    speaker, _, _ = await spoken(model, TEXT, MALE)
    cloned = SparkSpeaker(speaker.global_tokens).speaker()
    named, codes, finish = await spoken(model, TEXT, HeardVoice(cloned))
    assert named == cloned
    assert len(codes) > 25
    assert finish.reason is FinishReason.STOP
