"""The stage over real gRPC, on a scripted engine: what a caller is told, and what it is not left waiting for."""

import asyncio
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import CodeFormat, Frames
from services.contract.generation import (
    Finish,
    FinishReason,
    GenerationRequest,
    HeardVoice,
    MadeUpVoice,
    Prefix,
    Progress,
    Turn,
)
from services.contract.model import BuiltInVoice, Capability, Revision, ServedModel
from services.contract.sampling import Sampling
from services.llm.app import LlmStage, compose, served_model
from services.llm.engines.engine import Due, EngineModel, at_once
from services.llm.engines.scripted import Script, ScriptedEngine
from services.llm.families.family import Family
from services.llm.sampling import ResolvedSampling
from services.llm.settings import LlmSettings
from services.runtime.errors import (
    EngineDied,
    GenerationFailed,
    InvalidRequest,
    Overloaded,
    StageUnavailable,
    WrongRevision,
    from_rpc_error,
)
from services.runtime.server import run_until_stopped
from voxline.stages.v1 import frames_pb2, llm_pb2, llm_pb2_grpc, model_pb2, model_pb2_grpc, speaker_pb2
from voxline.v1 import design_pb2, sampling_pb2

# Ids of the tiny checkpoint.
GLOBAL, SEMANTIC, OTHER = 439, 695, 1252
START_GLOBAL, END_GLOBAL, START_SEMANTIC, END = 1291, 1297, 1292, 436
BLOCK = (START_GLOBAL, *(GLOBAL + code for code in range(8)), END_GLOBAL, START_SEMANTIC)
SPEECH = (SEMANTIC, OTHER, SEMANTIC + 511)
SPEAKER = SparkSpeaker(tuple(range(8))).speaker()
WRITTEN = SparkSpeaker(tuple(range(8)), (START_GLOBAL,)).speaker()
HEARD, FEMALE = HeardVoice(SPEAKER), MadeUpVoice(DesignedVoice(Gender.FEMALE))
REVISION = Revision("c0dec", "11a")


class Watched(ScriptedEngine):
    """Says when a generation has been closed."""

    def __init__(self, model: EngineModel, script: Script) -> None:
        super().__init__(model, script)
        self.closed = asyncio.Event()

    async def generate(
        self,
        prompt: Sequence[int],
        sampling: ResolvedSampling,
        stop_ids: frozenset[int],
        due: Due = at_once,
        drawn: Sequence[int] = (),
    ) -> AsyncGenerator[list[int], None]:
        try:
            async with aclosing(super().generate(prompt, sampling, stop_ids, due, drawn)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self.closed.set()


@pytest.fixture
def settings(tiny: Path) -> LlmSettings:
    return LlmSettings(model=tiny, port=0, metrics_port=0, drain_seconds=0, grace_seconds=1)


def staged(family: Family, engine: ScriptedEngine, settings: LlmSettings) -> LlmStage:
    return compose(family, engine, served_model(family, REVISION, "scripted", settings), settings)


class Stages:
    """Starts stages on scripts and stops them all."""

    def __init__(self, family: Family, settings: LlmSettings) -> None:
        self._family = family
        self._settings = settings
        self.started: list[LlmStage] = []
        self.engines: list[Watched] = []

    async def start(self, *chunks: tuple[int, ...], delay: float = 0.0, dies: bool = False) -> LlmStage:
        engine = Watched(self._family.engine_model, Script(chunks, delay, dies))
        stage = staged(self._family, engine, self._settings)
        await stage.server.start()
        self.started.append(stage)
        self.engines.append(engine)
        return stage


@pytest.fixture
async def stages(tiny_family: Family, settings: LlmSettings) -> AsyncIterator[Stages]:
    stages = Stages(tiny_family, settings)
    yield stages
    for stage in stages.started:
        await stage.server.stop()
        await stage.engine.close()


def channel(stage: LlmStage) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{stage.server.port}")


async def answered(stage: LlmStage, *requests: llm_pb2.GenerateRequest) -> list[llm_pb2.GenerateResponse]:
    """Raises what the stage raised."""
    async with channel(stage) as connected:
        try:
            return [response async for response in llm_pb2_grpc.LlmServiceStub(connected).Generate(iter(requests))]
        except grpc.aio.AioRpcError as exc:
            raise from_rpc_error(exc) from exc


async def generate(stage: LlmStage, request: GenerationRequest) -> list[Progress]:
    responses = await answered(stage, llm_pb2.GenerateRequest(config=request.to_proto()))
    return [Progress.from_proto(response) for response in responses]


def frames(first: int, *codes: int) -> Frames:
    return Frames.of_codes(codes, first=first)


async def test_design_names_its_speaker_then_frames_then_one_finish(stages: Stages) -> None:
    stage = await stages.start(BLOCK, SPEECH, (SEMANTIC + 1, END))
    told = await generate(stage, GenerationRequest(text="Hi", voice=FEMALE, sampling=Sampling(seed=7)))
    assert [progress.speaker for progress in told] == [WRITTEN, None, None]
    assert told[0].speaker is not None
    assert told[0].speaker.global_tokens == tuple(range(8))
    assert [progress.frames for progress in told] == [None, frames(0, 0, 511), frames(2, 1)]
    assert [progress.finish for progress in told] == [None, None, Finish(FinishReason.STOP, 10, 16, 7)]


async def test_pinned_design_gives_back_its_speaker(stages: Stages) -> None:
    stage = await stages.start(SPEECH, (END,))
    told = await generate(stage, GenerationRequest(text="Hi", voice=MadeUpVoice(FEMALE.design, WRITTEN)))
    assert told[0].speaker == WRITTEN
    assert stages.engines[0].prompts[0][-10:] == BLOCK[:-1]


async def test_recording_with_its_words_is_continued(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC, END))
    voice = HeardVoice(SPEAKER, (Turn("Good day", frames(0, 5, 6)),))
    told = await generate(stage, GenerationRequest(text="Hi", voice=voice))
    assert told[0].speaker == SPEAKER
    assert stages.engines[0].prompts[0][-3:] == (START_SEMANTIC, SEMANTIC + 5, SEMANTIC + 6)


async def test_max_tokens_ends_with_length(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC,) * 20)
    finish = (await generate(stage, GenerationRequest(text="Hi", voice=HEARD, sampling=Sampling(max_tokens=8))))[
        -1
    ].finish
    assert finish is not None
    assert finish.reason is FinishReason.LENGTH
    assert finish.completion_tokens == 8


async def test_absent_max_tokens_is_bounded_by_the_text(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC,) * 10_000)
    told = await generate(stage, GenerationRequest(text="A 4 s sentence, more or less.", voice=HEARD))
    finish = told[-1].finish
    assert finish is not None
    assert finish.reason is FinishReason.LENGTH
    assert 50 < finish.completion_tokens < 600


async def test_absent_seed_is_drawn_and_told(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC, END))
    told = [(await generate(stage, GenerationRequest(text="Hi", voice=HEARD)))[-1] for _ in range(4)]
    assert len({progress.finish.seed for progress in told if progress.finish is not None}) > 1


@pytest.mark.parametrize(("drawn", "voice"), [((END,), HEARD), ((*BLOCK, END), FEMALE)])
async def test_generation_without_a_frame_is_an_end_as_any(
    stages: Stages, drawn: tuple[int, ...], voice: HeardVoice | MadeUpVoice
) -> None:
    stage = await stages.start(drawn)
    (told,) = await generate(stage, GenerationRequest(text="Hi", voice=voice))
    assert told.speaker == (SPEAKER if voice is HEARD else WRITTEN)
    assert told.frames is None
    assert told.finish is not None
    assert (told.finish.reason, told.finish.completion_tokens) == (FinishReason.STOP, len(drawn))


@pytest.mark.parametrize("expected", [Revision(llm="another"), Revision("another", "11a")])
async def test_another_revision_is_refused_before_anything_is_drawn(stages: Stages, expected: Revision) -> None:
    stage = await stages.start(SPEECH, (END,))
    with pytest.raises(WrongRevision):
        await generate(stage, GenerationRequest(text="Hi", voice=HEARD, revision=expected))
    assert not stages.engines[0].prompts


@pytest.mark.parametrize("expected", [REVISION, Revision(), Revision(llm="11a"), Revision(codec="c0dec")])
async def test_revision_that_fits_is_served(stages: Stages, expected: Revision) -> None:
    stage = await stages.start(SPEECH, (END,))
    assert await generate(stage, GenerationRequest(text="Hi", voice=HEARD, revision=expected))


def config(**changes: object) -> llm_pb2.GenerateRequest:
    """A request that would do, but for `changes`; None takes a field away."""
    whole = llm_pb2.GenerateConfig(text="Hi", speaker=llm_pb2.SpeakerSelection(speaker=SPEAKER.to_proto()))
    for name in changes:
        whole.ClearField(name)
    given = {name: value for name, value in changes.items() if value is not None}
    whole.MergeFrom(llm_pb2.GenerateConfig(**given))
    return llm_pb2.GenerateRequest(config=whole)


def designed(**design: int) -> llm_pb2.SpeakerSelection:
    return llm_pb2.SpeakerSelection(design=design_pb2.DesignedVoice(**design))


PREFIX = Prefix(Frames.of_codes([1]))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (llm_pb2.GenerateRequest(), "config"),
        (llm_pb2.GenerateRequest(speaker_state=b"state"), "config"),
        (config(text=" "), "text"),
        (config(speaker=None), "speaker"),
        (config(speaker=llm_pb2.SpeakerSelection(speaker=speaker_pb2.Speaker())), "speaker.speaker.state"),
        (config(speaker=llm_pb2.SpeakerSelection(speaker=speaker_pb2.Speaker(state=b""))), "speaker.speaker.state"),
        (config(speaker=designed()), "speaker.design.gender"),
        (config(speaker=designed(gender=1, pitch=9)), "speaker.design.pitch"),
        (config(context=[llm_pb2.Turn(text=" ")]), "context[0].text"),
        (config(context=[llm_pb2.Turn(text="Hi")]), "context[0].frames"),
        (config(context=[llm_pb2.Turn(text="Hi", frames=frames_pb2.Frames(width=1))]), "context[0].frames"),
        (config(sampling=sampling_pb2.Sampling(temperature=3)), "sampling.temperature"),
        (config(sampling=sampling_pb2.Sampling(top_p=0)), "sampling.top_p"),
        (config(speaker=designed(gender=1), sampling=sampling_pb2.Sampling(max_tokens=5)), "sampling.max_tokens"),
        (config(sampling=sampling_pb2.Sampling(min_tokens=10**6)), "sampling.min_tokens"),
        (config(sampling=sampling_pb2.Sampling(seed=2**63)), "sampling.seed"),
        (config(pace=llm_pb2.Pace(first_frames=1)), "pace.frames_per_second"),
        (config(prefix=PREFIX.to_proto()), "sampling.seed"),
        (config(prefix=llm_pb2.Prefix(), sampling=sampling_pb2.Sampling(seed=1)), "prefix.frames"),
        (
            config(prefix=Prefix(frames(0, 1), b"\xff").to_proto(), sampling=sampling_pb2.Sampling(seed=1)),
            "prefix.resume",
        ),
    ],
)
async def test_wrong_field_is_named(stages: Stages, request_: llm_pb2.GenerateRequest, field: str) -> None:
    stage = await stages.start(SPEECH, (END,))
    with pytest.raises(InvalidRequest) as caught:
        await answered(stage, request_)
    assert caught.value.field == field
    assert not stages.engines[0].prompts


async def test_call_without_a_request_names_the_config(stages: Stages) -> None:
    stage = await stages.start(SPEECH, (END,))
    with pytest.raises(InvalidRequest) as caught:
        await answered(stage)
    assert caught.value.field == "config"


async def test_broken_speaker_block_fails_with_both_numbers(stages: Stages) -> None:
    stage = await stages.start((START_GLOBAL, GLOBAL, END_GLOBAL, START_SEMANTIC, SEMANTIC, END))
    with pytest.raises(GenerationFailed, match=r"1 global tokens.* not 8"):
        await generate(stage, GenerationRequest(text="Hi", voice=FEMALE))


async def test_full_queue_turns_away(stages: Stages, settings: LlmSettings) -> None:
    stage = await stages.start(SPEECH, (END,))
    stages.engines[0].waiting = settings.max_waiting
    with pytest.raises(Overloaded) as caught:
        await generate(stage, GenerationRequest(text="Hi", voice=HEARD))
    assert caught.value.retry_after


async def test_cancelled_call_closes_the_generation(stages: Stages) -> None:
    stage = await stages.start(*[(SEMANTIC,)] * 10_000, delay=0.01)
    async with channel(stage) as connected:
        request = config(sampling=sampling_pb2.Sampling(max_tokens=9000))
        call = llm_pb2_grpc.LlmServiceStub(connected).Generate(iter([request]))
        async for _ in call:
            break
        assert stage.engine.running == 1
        call.cancel()
        await asyncio.wait_for(stages.engines[0].closed.wait(), 60)
    assert stage.engine.running == 0
    assert await metric(stage, 'voxline_llm_generations_total{end="cancelled"}') == 1


async def test_dead_engine_fails_the_call_then_refuses(stages: Stages) -> None:
    stage = await stages.start(SPEECH, dies=True)
    for cls, message in ((EngineDied, "died"), (StageUnavailable, "is dead")):
        with pytest.raises(cls, match=message) as raised:
            await generate(stage, GenerationRequest(text="Hi", voice=HEARD))
        assert type(raised.value) is cls


async def test_dead_engine_ends_the_process_with_1(tiny_family: Family, settings: LlmSettings) -> None:
    engine = ScriptedEngine(tiny_family.engine_model, Script(((SEMANTIC,),)))
    stage = staged(tiny_family, engine, settings)
    running = asyncio.create_task(run_until_stopped(stage.server, asyncio.shield(engine.failed)))
    while not stage.server.port:
        await asyncio.sleep(0)
    async with channel(stage) as connected:
        watch = health_pb2_grpc.HealthStub(connected).Watch(
            health_pb2.HealthCheckRequest(service="voxline.stages.v1.LlmService")
        )
        assert (await anext(aiter(watch))).status == health_pb2.HealthCheckResponse.SERVING
        engine.die()
        assert (await anext(aiter(watch))).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
    assert await running == 1


async def test_model_tells_what_the_gateway_asks(stages: Stages) -> None:
    stage = await stages.start(SPEECH)
    async with channel(stage) as connected:
        message = await model_pb2_grpc.ModelServiceStub(connected).GetModel(model_pb2.GetModelRequest())
    served = ServedModel.from_proto(message)
    assert (served.id, served.family, served.revision) == ("model", "spark", REVISION)
    assert (served.frames.frame_rate, served.frames.kind) == (50.0, CodeFormat(1, 512))
    assert served.tokenizer is served.detokenizer is None
    assert served.llm is not None
    assert served.llm.engine == "scripted"
    assert served.llm.capabilities == set(Capability)
    assert (served.llm.default_voice, served.llm.max_frames) == ("female", 32768)
    assert len(served.llm.built_in_voices) == 50
    design = DesignedVoice(Gender.FEMALE, Level.HIGH, Level.LOW)
    named = BuiltInVoice("female-high-low", "Female, high pitch, low speed", design)
    assert named in served.llm.built_in_voices


async def test_metrics_count_tokens_and_ends(stages: Stages) -> None:
    stage = await stages.start(SPEECH, (END,))
    await generate(stage, GenerationRequest(text="Hi", voice=HEARD))
    assert await metric(stage, "voxline_llm_tokens_total") == 4
    assert await metric(stage, 'voxline_llm_generations_total{end="stop"}') == 1
    assert await metric(stage, "voxline_llm_first_token_seconds_count") == 1
    assert await metric(stage, "voxline_llm_running") == 0
    assert await metric(stage, "voxline_llm_waiting") == 0


async def metric(stage: LlmStage, name: str) -> float:
    def scrape() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{stage.server.metrics_port}/metrics") as response:
            body: bytes = response.read()
        return body.decode()

    lines = (await asyncio.to_thread(scrape)).splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])
