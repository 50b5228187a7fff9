"""What computes hangs under speech, in a process that else lives: its health says so, it ends, and nobody hears it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from bench.replicas import PROGRAMS, ReplicaProcess, Replicas, running_gateway
from services.contract.design import DesignedVoice, Gender
from services.contract.generation import GenerationRequest, MadeUpVoice
from services.gateway.request import ReferenceVoice
from services.runtime.errors import StageUnavailable, VoxlineError
from voxline.stages.v1 import llm_pb2, llm_pb2_grpc, tokenizer_pb2, tokenizer_pb2_grpc

from .test_hung_replicas import SLOTS
from .test_replacement import SPEECHES, Speech, all_spoken

RECORDING = Path(__file__).parents[1] / "parity" / "spark-tiny" / "input.wav"
HANGING = Path(__file__).with_name("hanging.py")
STALL_SECONDS = 3


class HangingProcess(ReplicaProcess):
    """Its computing hangs once `file` exists."""

    def __init__(self, stage: str, file: Path) -> None:
        super().__init__(stage, flags=("--stall-seconds", str(STALL_SECONDS)))
        plain = ("-P", "-m", *PROGRAMS[stage])
        self._command = ("-P", str(HANGING), str(file), *PROGRAMS[stage], *self._command[len(plain) :])


class Stack(AsyncExitStack):
    """Of stages; each that is started ends with it."""

    async def started(self, *processes: ReplicaProcess) -> tuple[ReplicaProcess, ...]:
        for process in processes:
            self.push_async_callback(process.stop)
            await process.start()
        return processes


@pytest.fixture
async def stages() -> AsyncIterator[Stack]:
    async with Stack() as stack:
        yield stack


async def healths(process: ReplicaProcess) -> list[int]:
    """All that it says of its health, until it ends."""
    said = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.port}") as channel:
        with suppress(grpc.aio.AioRpcError):
            async for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
                said.append(answer.status)
    return said


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_who_hangs_says_so_and_ends_and_nobody_hears_it(stages: Stack, tmp_path: Path, stage: str) -> None:
    file, registry, progress = tmp_path / "hang", CollectorRegistry(), asyncio.Condition()
    other = "detokenizer" if stage == "llm" else "llm"
    running = {name: await stages.started(ReplicaProcess(name)) for name in ("tokenizer", other)}
    running[stage] = await stages.started(HangingProcess(stage, file), ReplicaProcess(stage))
    hung, living = running[stage]
    watched = asyncio.create_task(healths(hung))

    async def hang() -> None:
        async with progress:
            await progress.wait()
        file.touch()

    async with running_gateway(Replicas(running).targets, tmp_path, registry=registry) as gateway:
        undisturbed = await all_spoken(gateway, progress)
        hanging = asyncio.create_task(hang())
        disturbed = await all_spoken(gateway, progress)
        await hanging
        assert [one[0] for one in disturbed] == [one[0] for one in undisturbed]
        assert sum(retries for _, retries in disturbed) > 0, "nothing hung while it was at work"
        assert await hung.status() == 1
        assert (await watched)[-1] == health_pb2.HealthCheckResponse.NOT_SERVING
        assert len(await all_spoken(gateway, progress)) == len(SPEECHES)
        assert registry.get_sample_value("voxline_gateway_active_streams") == 0
        for name in SLOTS[stage]:
            assert await asyncio.to_thread(living.measured, name) == 0


@pytest.mark.timeout(600)
async def test_a_recording_is_answered_where_the_only_tokenizer_hangs(stages: Stack, tmp_path: Path) -> None:
    file, registry = tmp_path / "hang", CollectorRegistry()
    running = {name: await stages.started(ReplicaProcess(name)) for name in ("llm", "detokenizer")}
    running["tokenizer"] = await stages.started(HangingProcess("tokenizer", file))
    (hung,) = running["tokenizer"]
    request = Speech("How late is it?", 1, whole=True).request()
    turn = request.turns[0]
    async with running_gateway(Replicas(running).targets, tmp_path, registry=registry) as gateway:
        file.touch()
        with pytest.raises(VoxlineError) as raised:
            await gateway.speak(replace(request, turns=(replace(turn, voice=ReferenceVoice(RECORDING.read_bytes())),)))
        assert isinstance(raised.value, StageUnavailable)
        assert await hung.status() == 1
        assert registry.get_sample_value("voxline_gateway_active_streams") == 0
        file.unlink()
        await hung.start()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", ["llm", "tokenizer"])
async def test_who_hangs_ends_though_all_who_waited_have_left(stages: Stack, tmp_path: Path, stage: str) -> None:
    file = tmp_path / "hang"
    (hung,) = await stages.started(HangingProcess(stage, file))
    file.touch()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{hung.port}") as channel:
        if stage == "llm":
            call = llm_pb2_grpc.LlmServiceStub(channel).Generate(timeout=1)
            config = GenerationRequest(text="How late is it?", voice=MadeUpVoice(DesignedVoice(Gender.MALE))).to_proto()
            await call.write(llm_pb2.GenerateRequest(config=config))
        else:
            call = tokenizer_pb2_grpc.TokenizerServiceStub(channel).Tokenize(timeout=1)
            await call.write(tokenizer_pb2.TokenizeRequest(audio=RECORDING.read_bytes()))
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await hung.status() == 1
