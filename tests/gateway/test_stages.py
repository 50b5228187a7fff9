"""What the gateway learns of its stages, and when."""

import asyncio

import pytest

from services.gateway.stages import Stages, Targets
from services.gateway.tokens import Pace
from services.runtime.errors import StageUnavailable

from .conftest import PATIENCE, StageDoubles, model


async def until(stages: Stages, ready: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: bool(stages.reasons()) != ready)


async def test_facts_come_from_the_stages(stages):
    model = stages.model()
    assert (model.id, model.sample_rate) == ("double", 16000)
    assert model.llm.default_voice == "female"
    assert [voice.id for voice in model.llm.built_in_voices] == ["female", "male"]
    assert stages.reasons() == ()


async def test_stages_that_come_up_late_are_waited_for(sockets):
    doubles = StageDoubles(sockets)
    stages = Stages(doubles.targets, None)
    stages.start()
    assert "tokenizer" in stages.reasons()[0]
    with pytest.raises(StageUnavailable, match="not known yet"):
        stages.model()
    for name in doubles.sockets:
        await doubles.start(name)
    await until(stages, ready=True)
    assert stages.model().id == "double"
    await stages.stop()
    for name in doubles.sockets:
        await doubles.stop(name)


@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_stage_that_is_lost_is_a_reason_until_it_comes_back(stages, doubles, stage):
    await doubles.stop(stage)
    await until(stages, ready=False)
    assert stage in stages.reasons()[0]
    assert stages.model().id == "double"
    await doubles.start(stage)
    await until(stages, ready=True)


async def test_stage_that_comes_back_with_another_model_is_noticed(stages, doubles):
    await doubles.stop("llm")
    doubles.llm.model = model(id="other")
    await until(stages, ready=False)
    await doubles.start("llm")
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: "model id" in stages.reasons()[0])
    with pytest.raises(StageUnavailable, match="llm other"):
        stages.model()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "other"}, "model id: tokenizer double, llm double, detokenizer other"),
        ({"codebooks": 2}, "codebooks"),
        ({"codebook_size": 2048}, "codebook size"),
        ({"global_token_count": 32}, "global token count"),
        ({"global_codebook_size": 256}, "global codebook size"),
        ({"frame_rate_hertz": 25.0}, "frame rate"),
    ],
)
async def test_stages_of_different_models_are_not_ready(change, said, sockets):
    doubles = StageDoubles(sockets)
    doubles.detokenizer.model = model(**change)
    for name in doubles.sockets:
        await doubles.start(name)
    stages = Stages(doubles.targets, None)
    stages.start()
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: "disagree" in stages.reasons()[0])
    assert said in stages.reasons()[0]
    await stages.stop()
    for name in doubles.sockets:
        await doubles.stop(name)


async def test_stage_that_says_nothing_about_a_fact_agrees(doubles):
    doubles.llm.model = model(frame_rate_hertz=0.0, codebooks=0)
    stages = Stages(doubles.targets, None)
    stages.start()
    await until(stages, ready=True)
    await stages.stop()


@pytest.mark.parametrize(
    ("look_ahead", "usual", "frames"),
    [(None, 0, 13 + 4), (None, 3, 13 + 3), (-1, 3, 13 + 4), (0, 3, 13), (2, 3, 13 + 2), (9, 3, 13 + 4)],
)
async def test_pace_is_that_of_the_first_sound_and_of_real_time(doubles, look_ahead, usual, frames):
    doubles.detokenizer.model = model(first_audio_frames=13, receptive_field_frames=4, usual_look_ahead_frames=usual)
    stages = Stages(doubles.targets, look_ahead)
    stages.start()
    await until(stages, ready=True)
    assert stages.pace() == Pace(first_codes=frames, codes_per_second=50.0)
    await stages.stop()


async def test_tokenizer_that_is_lost_later_keeps_nobody_from_speaking(stages, doubles):
    await doubles.stop("tokenizer")
    await until(stages, ready=True)
    assert stages.reasons() == ()


async def test_server_that_is_no_stage_is_a_reason(doubles):
    stages = Stages(Targets(doubles.targets.tokenizer, "127.0.0.1:1", doubles.targets.detokenizer), None)
    stages.start()
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: "llm stage does not answer" in stages.reasons()[0])
    await stages.stop()
