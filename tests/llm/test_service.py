"""The stage over real gRPC, on a scripted engine: what a caller is told, and what it is not left waiting for."""

import asyncio
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.llm.app import LlmStage, compose
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
    from_rpc_error,
)
from services.runtime.server import run_until_stopped
from voxline.v1 import llm_pb2, llm_pb2_grpc, model_pb2, model_pb2_grpc, sampling_pb2, tokens_pb2

# Ids of the tiny checkpoint.
GLOBAL, SEMANTIC, OTHER = 439, 695, 1252
START_GLOBAL, END_GLOBAL, START_SEMANTIC, END = 1291, 1297, 1292, 436
BLOCK = (START_GLOBAL, *(GLOBAL + code for code in range(8)), END_GLOBAL, START_SEMANTIC)
SPEECH = (SEMANTIC, OTHER, SEMANTIC + 511)
CLONE = llm_pb2.ClonedVoice(speaker=tokens_pb2.Speaker(global_tokens=range(8)))
DESIGN = llm_pb2.DesignedVoiceRequest(design=model_pb2.DesignedVoice(gender=model_pb2.GENDER_FEMALE))


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


class Stages:
    """Starts stages on scripts and stops them all."""

    def __init__(self, family: Family, settings: LlmSettings) -> None:
        self._family = family
        self._settings = settings
        self.started: list[LlmStage] = []
        self.engines: list[Watched] = []

    async def start(self, *chunks: tuple[int, ...], delay: float = 0.0, dies: bool = False) -> LlmStage:
        engine = Watched(self._family.engine_model, Script(chunks, delay, dies))
        stage = compose(self._family, engine, "scripted", self._settings)
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


async def generate(stage: LlmStage, request: llm_pb2.GenerateRequest) -> list[llm_pb2.GenerateResponse]:
    """Raises what the stage raised."""
    async with channel(stage) as connected:
        try:
            return [response async for response in llm_pb2_grpc.LlmServiceStub(connected).Generate(request)]
        except grpc.aio.AioRpcError as exc:
            raise from_rpc_error(exc) from exc


async def test_design_names_its_speaker_then_codes_then_one_finish(stages: Stages) -> None:
    stage = await stages.start(BLOCK, SPEECH, (SEMANTIC + 1, END))
    request = llm_pb2.GenerateRequest(text="Hi", design=DESIGN, sampling=sampling_pb2.Sampling(seed=7))
    speaker, codes, last = await generate(stage, request)
    assert list(speaker.speaker.global_tokens) == list(range(8))
    assert list(speaker.speaker.style_tokens) == [START_GLOBAL]
    assert [list(codes.codes.values), list(last.codes.values)] == [[0, 511], [1]]
    assert last.finish == llm_pb2.Finish(
        reason=llm_pb2.FINISH_REASON_STOP, prompt_tokens=10, completion_tokens=16, seed=7
    )


async def test_pinned_design_gives_back_its_speaker(stages: Stages) -> None:
    stage = await stages.start(SPEECH, (END,))
    speaker = tokens_pb2.Speaker(global_tokens=range(8), style_tokens=[START_GLOBAL])
    pinned = llm_pb2.DesignedVoiceRequest(design=DESIGN.design, speaker=speaker)
    responses = await generate(stage, llm_pb2.GenerateRequest(text="Hi", design=pinned))
    assert responses[0].speaker == speaker
    assert stages.engines[0].prompts[0][-10:] == BLOCK[:-1]


async def test_clone_with_reference_continues_its_codes(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC, END))
    reference = tokens_pb2.Reference(codes=tokens_pb2.Codes(values=[5, 6]), transcript="Good day")
    clone = llm_pb2.ClonedVoice(speaker=CLONE.speaker, reference=reference)
    responses = await generate(stage, llm_pb2.GenerateRequest(text="Hi", clone=clone))
    assert responses[0].speaker == CLONE.speaker
    assert stages.engines[0].prompts[0][-3:] == (START_SEMANTIC, SEMANTIC + 5, SEMANTIC + 6)


async def test_max_tokens_ends_with_length(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC,) * 20)
    request = llm_pb2.GenerateRequest(text="Hi", clone=CLONE, sampling=sampling_pb2.Sampling(max_tokens=8))
    finish = (await generate(stage, request))[-1].finish
    assert finish.reason == llm_pb2.FINISH_REASON_LENGTH
    assert finish.completion_tokens == 8


async def test_absent_max_tokens_is_bounded_by_the_text(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC,) * 10_000)
    finish = (await generate(stage, llm_pb2.GenerateRequest(text="A 4 s sentence, more or less.", clone=CLONE)))[-1]
    assert finish.finish.reason == llm_pb2.FINISH_REASON_LENGTH
    assert 50 < finish.finish.completion_tokens < 600


async def test_absent_seed_is_drawn_and_told(stages: Stages) -> None:
    stage = await stages.start((SEMANTIC, END))
    request = llm_pb2.GenerateRequest(text="Hi", clone=CLONE)
    seeds = [(await generate(stage, request))[-1].finish.seed for _ in range(4)]
    assert len(set(seeds)) > 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (llm_pb2.GenerateRequest(text=" ", clone=CLONE), "text"),
        (llm_pb2.GenerateRequest(text="Hi"), "voice"),
        (llm_pb2.GenerateRequest(text="Hi", clone=llm_pb2.ClonedVoice()), "clone.speaker.global_tokens"),
        (llm_pb2.GenerateRequest(text="Hi", design=llm_pb2.DesignedVoiceRequest()), "design.design.gender"),
        (
            llm_pb2.GenerateRequest(
                text="Hi", design=llm_pb2.DesignedVoiceRequest(design=model_pb2.DesignedVoice(gender=1, pitch=9))
            ),
            "design.design.pitch",
        ),
        (
            llm_pb2.GenerateRequest(text="Hi", clone=CLONE, sampling=sampling_pb2.Sampling(temperature=3)),
            "sampling.temperature",
        ),
        (
            llm_pb2.GenerateRequest(text="Hi", design=DESIGN, sampling=sampling_pb2.Sampling(max_tokens=5)),
            "sampling.max_tokens",
        ),
        (
            llm_pb2.GenerateRequest(text="Hi", clone=CLONE, sampling=sampling_pb2.Sampling(min_tokens=10**6)),
            "sampling.min_tokens",
        ),
        (
            llm_pb2.GenerateRequest(text="Hi", clone=CLONE, sampling=sampling_pb2.Sampling(seed=2**63)),
            "sampling.seed",
        ),
    ],
)
async def test_wrong_field_is_named(stages: Stages, request_: llm_pb2.GenerateRequest, field: str) -> None:
    stage = await stages.start(SPEECH, (END,))
    with pytest.raises(InvalidRequest) as caught:
        await generate(stage, request_)
    assert caught.value.field == field
    assert not stages.engines[0].prompts


async def test_broken_speaker_block_fails_with_both_numbers(stages: Stages) -> None:
    stage = await stages.start((START_GLOBAL, GLOBAL, END_GLOBAL, START_SEMANTIC, SEMANTIC, END))
    with pytest.raises(GenerationFailed, match=r"1 global tokens.* not 8"):
        await generate(stage, llm_pb2.GenerateRequest(text="Hi", design=DESIGN))


async def test_full_queue_turns_away(stages: Stages, settings: LlmSettings) -> None:
    stage = await stages.start(SPEECH, (END,))
    stages.engines[0].waiting = settings.max_waiting
    with pytest.raises(Overloaded) as caught:
        await generate(stage, llm_pb2.GenerateRequest(text="Hi", clone=CLONE))
    assert caught.value.retry_after


async def test_cancelled_call_closes_the_generation(stages: Stages) -> None:
    stage = await stages.start(*[(SEMANTIC,)] * 10_000, delay=0.01)
    async with channel(stage) as connected:
        call = llm_pb2_grpc.LlmServiceStub(connected).Generate(
            llm_pb2.GenerateRequest(text="Hi", clone=CLONE, sampling=sampling_pb2.Sampling(max_tokens=9000))
        )
        async for _ in call:
            break
        assert stage.engine.running == 1
        call.cancel()
        await asyncio.wait_for(stages.engines[0].closed.wait(), 60)
    assert stage.engine.running == 0
    assert await metric(stage, 'voxline_llm_generations_total{end="cancelled"}') == 1


async def test_dead_engine_fails_the_call_then_refuses(stages: Stages) -> None:
    stage = await stages.start(SPEECH, dies=True)
    request = llm_pb2.GenerateRequest(text="Hi", clone=CLONE)
    for message in ("died", "is dead"):
        with pytest.raises(EngineDied, match=message):
            await generate(stage, request)


async def test_dead_engine_ends_the_process_with_1(tiny_family: Family, settings: LlmSettings) -> None:
    engine = ScriptedEngine(tiny_family.engine_model, Script(((SEMANTIC,),)))
    stage = compose(tiny_family, engine, "scripted", settings)
    running = asyncio.create_task(run_until_stopped(stage.server, asyncio.shield(engine.failed)))
    while not stage.server.port:
        await asyncio.sleep(0)
    async with channel(stage) as connected:
        watch = health_pb2_grpc.HealthStub(connected).Watch(
            health_pb2.HealthCheckRequest(service="voxline.v1.LlmService")
        )
        assert (await anext(aiter(watch))).status == health_pb2.HealthCheckResponse.SERVING
        engine.die()
        assert (await anext(aiter(watch))).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
    assert await running == 1


async def test_model_tells_what_the_gateway_asks(stages: Stages) -> None:
    stage = await stages.start(SPEECH)
    async with channel(stage) as connected:
        model = await model_pb2_grpc.ModelServiceStub(connected).GetModel(model_pb2.GetModelRequest())
    assert (model.id, model.family, model.engine) == ("model", "spark", "scripted")
    assert (model.codebooks, model.codebook_size) == (1, 512)
    assert (model.global_token_count, model.global_codebook_size) == (8, 256)
    assert list(model.capabilities) == [1, 2, 3]
    assert model.default_voice == "female"
    voices = {voice.id: voice for voice in model.built_in_voices}
    assert len(voices) == 50
    assert voices["female-high-low"].display_name == "Female, high pitch, low speed"
    assert voices["female-high-low"].design == model_pb2.DesignedVoice(
        gender=model_pb2.GENDER_FEMALE, pitch=model_pb2.LEVEL_HIGH, speed=model_pb2.LEVEL_LOW
    )


async def test_metrics_count_tokens_and_ends(stages: Stages) -> None:
    stage = await stages.start(SPEECH, (END,))
    await generate(stage, llm_pb2.GenerateRequest(text="Hi", clone=CLONE))
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
