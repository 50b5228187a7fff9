"""What the gateway learns of its stages, and when."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.contract.frames import CodeFormat, FrameFormat, LatentFormat
from services.contract.generation import Pace
from services.contract.model import Revision
from services.gateway import stages as module
from services.gateway.stages import Stages, Targets
from services.runtime.errors import StageUnavailable

from .conftest import DETOKENIZER, PATIENCE, REVISION, StageDoubles, model


async def until(stages: Stages, ready: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: bool(stages.reasons()) != ready)


@asynccontextmanager
async def watched(targets: Targets, look_ahead: int | None = None):
    stages = Stages(targets, look_ahead)
    stages.start()
    yield stages
    await stages.stop()


async def start_changed(doubles: StageDoubles, name: str, **changes: object) -> None:
    """Another version of the model in place of the one that there was."""
    double = getattr(doubles, name)
    double.model = replace(double.model, **changes)
    await doubles.start(name)


async def test_facts_come_from_the_stages(stages):
    model = stages.model()
    assert (model.id, model.family, model.revision, model.sample_rate) == ("double", "double", REVISION, 16000)
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


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"revision": Revision(REVISION.codec, "another llm")},
        {"revision": Revision("another codec", REVISION.llm)},
    ],
)
async def test_model_that_was_agreed_on_stays_while_a_rollout_mixes_and_gives_way_to_the_new_one(
    stages, doubles, change
):
    old = stages.model()
    for name in ("llm", "detokenizer"):
        await doubles.stop(name)
        await until(stages, ready=False)
        await start_changed(doubles, name, **change)
        await until(stages, ready=True)
        assert stages.model() == old
    await doubles.stop("tokenizer")
    await start_changed(doubles, "tokenizer", **change)
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: stages.model() != old)
    new = stages.model()
    assert (new.id, new.revision) == (change.get("id", old.id), change.get("revision", old.revision))


async def test_stages_that_disagree_for_longer_than_a_rollout_are_not_ready(stages, doubles, monkeypatch):
    """No replica is left that fits what was agreed on."""
    monkeypatch.setattr(module, "_ROLL_OUT_SECONDS", 0.0)
    monkeypatch.setattr(module, "_REFRESH_SECONDS", 0.1)
    await doubles.stop("detokenizer")
    await start_changed(doubles, "detokenizer", revision=Revision("another codec", REVISION.llm))
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: any("disagree on the codec" in reason for reason in stages.reasons()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "other"}, "model id: tokenizer double, llm double, detokenizer other"),
        ({"family": "other"}, "family: tokenizer double, llm double, detokenizer other"),
        ({"frames": FrameFormat(50.0, CodeFormat(2, 1024))}, "llm 1 x 1024 codes at 50 Hz, detokenizer 2 x 1024 codes"),
        ({"frames": FrameFormat(50.0, CodeFormat(1, 2048))}, "detokenizer 1 x 2048 codes at 50 Hz"),
        ({"frames": FrameFormat(25.0, CodeFormat(1, 1024))}, "detokenizer 1 x 1024 codes at 25 Hz"),
        ({"frames": FrameFormat(50.0, LatentFormat(32))}, "detokenizer 32 latents at 50 Hz"),
        ({"revision": Revision("another", REVISION.llm)}, "codec's revision: tokenizer codec of the"),
        ({"revision": Revision(REVISION.codec, "another")}, "llm's revision: tokenizer llm of the d"),
    ],
)
async def test_stages_of_different_models_are_not_ready(change, said, sockets):
    doubles = StageDoubles(sockets)
    doubles.detokenizer.model = model(detokenizer=DETOKENIZER, **change)
    for name in doubles.sockets:
        await doubles.start(name)
    async with watched(doubles.targets) as stages:
        async with asyncio.timeout(PATIENCE):
            await stages.until(lambda: "disagree" in stages.reasons()[0])
        assert said in stages.reasons()[0]
        with pytest.raises(StageUnavailable, match="disagree"):
            stages.model()
    for name in doubles.sockets:
        await doubles.stop(name)


@pytest.mark.parametrize(
    "change",
    [{"revision": Revision()}, {"revision": Revision(codec=REVISION.codec)}, {"family": ""}],
)
async def test_stage_that_says_nothing_about_a_fact_agrees(sockets, change):
    doubles = StageDoubles(sockets)
    doubles.tokenizer.model = replace(doubles.tokenizer.model, **change)
    for name in doubles.sockets:
        await doubles.start(name)
    async with watched(doubles.targets) as stages:
        await until(stages, ready=True)
        assert (stages.model().family, stages.model().revision) == ("double", REVISION)
    for name in doubles.sockets:
        await doubles.stop(name)


@pytest.mark.parametrize(
    ("look_ahead", "usual", "frames"),
    [(None, None, 4), (None, 0, 0), (None, 3, 3), (-1, 3, 4), (0, 3, 0), (2, 3, 2), (9, 3, 4)],
)
async def test_pace_is_that_of_the_first_sound_and_of_real_time(sockets, look_ahead, usual, frames):
    doubles = StageDoubles(sockets)
    described = replace(DETOKENIZER, first_audio_frames=13, right_field=4, usual_look_ahead=usual)
    doubles.detokenizer.model = model(detokenizer=described)
    for name in doubles.sockets:
        await doubles.start(name)
    async with watched(doubles.targets, look_ahead) as stages:
        await until(stages, ready=True)
        assert stages.model().look_ahead == frames
        assert stages.model().pace == Pace(first_frames=13 + frames, frames_per_second=50.0)
    for name in doubles.sockets:
        await doubles.stop(name)


async def test_tokenizer_that_is_lost_later_keeps_nobody_from_speaking(stages, doubles):
    await doubles.stop("tokenizer")
    await until(stages, ready=True)
    assert stages.reasons() == ()


async def test_server_that_is_no_stage_is_a_reason(doubles):
    targets = Targets(doubles.targets.tokenizer, "127.0.0.1:1", doubles.targets.detokenizer)
    async with watched(targets) as stages, asyncio.timeout(PATIENCE):
        await stages.until(lambda: "llm stage does not answer" in stages.reasons()[0])


@pytest.mark.parametrize("behind", ["tokenizer", "llm", "detokenizer"])
async def test_stage_behind_the_name_of_another_is_a_reason(doubles, behind):
    target = getattr(doubles.targets, behind)
    others = [name for name in doubles.sockets if name != behind]
    async with watched(Targets(target, target, target)) as stages, asyncio.timeout(PATIENCE):
        for name in others:
            await stages.until(lambda name=name: f"answers as the {name} stage is none" in stages.reasons()[0])


async def test_one_process_may_serve_two_stages(doubles):
    await doubles.stop("llm")
    await start_changed(doubles, "llm", detokenizer=DETOKENIZER)
    targets = doubles.targets
    async with watched(Targets(targets.tokenizer, targets.llm, targets.llm)) as stages:
        await until(stages, ready=True)
        assert stages.model().detokenizer == DETOKENIZER
