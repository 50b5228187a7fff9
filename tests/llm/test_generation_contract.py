"""What every language model promises to who asks for speech, and to who goes on for a replica that was lost: on the
engine for CPUs, and on the scripted one that stands for it.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from services.contract.design import DesignedVoice, Gender
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames, joined
from services.contract.generation import (
    FinishReason,
    GenerationRequest,
    HeardVoice,
    MadeUpVoice,
    Prefix,
    Progress,
    Turn,
    VoiceInput,
)
from services.contract.sampling import Sampling
from services.contract.speaker import Speaker
from services.llm.engines import engine_loader
from services.llm.engines.cpu.engine import runs
from services.llm.engines.engine import Engine, EngineOptions
from services.llm.engines.scripted import Script, ScriptedEngine
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.runtime.errors import InvalidRequest
from services.runtime.watchdog import Watchdog
from voxline.stages.v1 import spark_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEAKER = SparkSpeaker((5, 80, 3, 41, 7, 100, 2, 9)).speaker()
FEMALE = MadeUpVoice(DesignedVoice(Gender.FEMALE))
VOICES = ("clone", "continuation", "design", "pinned design")
# Penalty and limit count what was drawn before.
SAMPLING = Sampling(seed=3, max_tokens=70, repetition_penalty=1.1)


@pytest.fixture(scope="module")
def family(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Of the bundled voice; what it says of itself would forbid to continue a recording."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(small, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("wav2vec2*", "voxline.yaml"))
    return load_family("spark", folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cpu(family: Family, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    cache = tmp_path_factory.mktemp("cache")
    if not runs(family.engine_model, cache):
        pytest.skip("there is no g++, or this CPU has no AVX2")
    engine = await engine_loader("cpu").load(family.engine_model, EngineOptions("int8", 1, 8, cache))
    yield engine
    await engine.close()


def model_on(family: Family, engine: Engine) -> LanguageModel:
    return LanguageModel(family, engine, LlmMetrics(CollectorRegistry(), engine), max_waiting=256, watchdog=Watchdog(0))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voice(request: pytest.FixtureRequest, family: Family, cpu: Engine) -> VoiceInput:
    match request.param:
        case "clone":
            return HeardVoice(SPEAKER)
        case "continuation":
            return HeardVoice(SPEAKER, (Turn("Good day. ", Frames.of_codes(range(0, 400, 7))),))
        case "design":
            return FEMALE
        case _:
            return MadeUpVoice(FEMALE.design, speaker_of(await told(model_on(family, cpu), asked(FEMALE))))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["cpu", "scripted"])
async def model(request: pytest.FixtureRequest, family: Family, cpu: Engine, voice: VoiceInput) -> LanguageModel:
    """The scripted one draws, some at a time, what the engine draws."""
    model = model_on(family, cpu)
    if request.param == "cpu":
        return model
    ids = family.drawn(whole(await told(model, asked(voice))))
    script = Script(tuple(ids[start : start + 3] for start in range(0, len(ids), 3)))
    return model_on(family, ScriptedEngine(family.engine_model, script))


def asked(voice: VoiceInput, prefix: Prefix | None = None, sampling: Sampling = SAMPLING) -> GenerationRequest:
    return GenerationRequest(text="Hi there.", voice=voice, sampling=sampling, prefix=prefix)


async def told(model: LanguageModel, request: GenerationRequest) -> list[Progress]:
    return [progress async for progress in model.generate(request)]


def speaker_of(progress: list[Progress]) -> Speaker | None:
    speakers = [each.speaker for each in progress if each.speaker is not None]
    assert len(speakers) <= 1
    return speakers[0] if speakers else None


def whole(progress: list[Progress], before: Prefix | None = None) -> Prefix:
    """All that was told, behind what was told `before`."""
    before = before or Prefix(Frames.of_codes(()))
    frames = joined([before.frames, *(each.frames for each in progress if each.frames is not None)])
    resumes = [before.resume, *(each.resume for each in progress if each.resume is not None)]
    return Prefix(frames, resumes[-1])


def cuts(drawn: Prefix) -> list[Prefix]:
    """What was told after each token, from none to all. Source: SparkResume."""
    message = spark_pb2.SparkResume.FromString(drawn.resume)
    pairs = list(zip(message.places, message.tokens, strict=True))
    prefixes = []
    for tokens in range(len(drawn.frames) + len(pairs) + 1):
        kept = [(place, token) for place, token in pairs if place < tokens]
        resume = spark_pb2.SparkResume(places=[place for place, _ in kept], tokens=[token for _, token in kept])
        frames = Frames(0, drawn.frames.values[: tokens - len(kept)])
        prefixes.append(Prefix(frames, resume.SerializeToString(deterministic=True)))
    return prefixes


@pytest.mark.parametrize("voice", VOICES, indirect=True)
async def test_speaker_then_frames_without_a_gap_then_one_finish(model: LanguageModel, voice: VoiceInput) -> None:
    progress = await told(model, asked(voice))
    with_frames = [place for place, each in enumerate(progress) if each.frames is not None]
    named = next(place for place, each in enumerate(progress) if each.speaker is not None)
    assert speaker_of(progress) is not None
    assert named <= with_frames[0]
    assert [each.finish is not None for each in progress] == [False] * (len(progress) - 1) + [True]
    end = 0
    for each in progress:
        if each.frames is not None:
            assert each.frames.first == end
            assert len(each.frames)
            end = each.frames.end
    assert end > 20


@pytest.mark.parametrize("voice", VOICES, indirect=True)
async def test_every_prefix_goes_on_as_if_nothing_had_happened(model: LanguageModel, voice: VoiceInput) -> None:
    undisturbed = await told(model, asked(voice))
    drawn, finish, speaker = whole(undisturbed), undisturbed[-1].finish, speaker_of(undisturbed)
    prefixes = cuts(drawn)
    assert finish is not None
    assert len(prefixes) == finish.completion_tokens + 1
    rests = await asyncio.gather(*(told(model, asked(voice, prefix)) for prefix in prefixes))
    for prefix, rest in zip(prefixes, rests, strict=True):
        assert whole(rest, prefix) == drawn
        assert rest[-1].finish == finish
    named = [speaker_of(rest) for rest in rests]
    untold = sum(each is not None for each in named)
    assert named == [speaker] * untold + [None] * (len(rests) - untold)
    if voice == FEMALE:
        assert untold > 8
        assert any(prefix.resume and not len(prefix.frames) for prefix in prefixes[:untold])
    else:
        assert untold == 1
    assert rests[-1] == [Progress(finish=finish)]


@pytest.mark.parametrize("voice", ["clone"], indirect=True)
async def test_prefix_that_reached_the_limit_ends_at_once(model: LanguageModel, voice: VoiceInput) -> None:
    prefix = cuts(whole(await told(model, asked(voice))))[20]
    limited = replace(SAMPLING, max_tokens=20)
    (progress,) = await told(model, asked(voice, prefix, limited))
    assert progress.finish is not None
    assert (progress.finish.reason, progress.finish.completion_tokens) == (FinishReason.LENGTH, 20)
    assert progress.frames is None


@pytest.mark.parametrize("voice", ["clone"], indirect=True)
async def test_prefix_needs_the_seed_that_began_it(model: LanguageModel, voice: VoiceInput) -> None:
    prefix = whole(await told(model, asked(voice)))
    with pytest.raises(InvalidRequest) as caught:
        await told(model, asked(voice, prefix, replace(SAMPLING, seed=None)))
    assert caught.value.field == "sampling.seed"
