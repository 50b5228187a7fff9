"""`python -m services.llm` as a process: it serves the bundled voice, drains, and says why it will not start."""

import asyncio
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from safetensors.torch import load_file, save_file

from services.contract.design import DesignedVoice, Gender
from services.contract.families.spark import codec_revision, llm_revision
from services.contract.generation import GenerationRequest, MadeUpVoice
from services.contract.model import Revision, ServedModel
from services.contract.sampling import Sampling
from voxline.stages.v1 import llm_pb2, llm_pb2_grpc, model_pb2, model_pb2_grpc

ROOT = Path(__file__).parents[2]
FEMALE = MadeUpVoice(DesignedVoice(Gender.FEMALE))


async def start(*arguments: str | Path) -> Process:
    flags = ("--port", "0", "--metrics-port", "0", "--drain-seconds", "0", *map(str, arguments))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "protos" / "gen")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.llm", *flags, cwd=ROOT, env=environment, stderr=PIPE
    )


async def lines(process: Process) -> AsyncIterator[str]:
    assert process.stderr is not None
    async for line in process.stderr:
        yield line.decode()


async def port(process: Process) -> int:
    async for line in lines(process):
        if line.startswith("{") and (entry := json.loads(line))["message"] == "serving":
            found: int = entry["port"]
            return found
    raise AssertionError("the stage ended before it served")


async def refusal(*arguments: str | Path) -> str:
    """What a process that must not start says."""
    process = await start(*arguments)
    said = "".join([line async for line in lines(process)])
    assert await process.wait() == 1
    return said


def request(tokens: int) -> llm_pb2.GenerateRequest:
    sampling = Sampling(seed=1, min_tokens=tokens, max_tokens=tokens)
    config = GenerationRequest(text="A bright new morning begins.", voice=FEMALE, sampling=sampling).to_proto()
    return llm_pb2.GenerateRequest(config=config)


async def test_call_in_flight_ends_well_when_the_process_is_told_to_stop(small: Path, tmp_path: Path) -> None:
    process = await start("--model", small, "--cache-dir", tmp_path, "--grace-seconds", "60")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await port(process)}") as channel:
        model = await model_pb2_grpc.ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest())
        call = llm_pb2_grpc.LlmServiceStub(channel).Generate(iter([request(2000)]))
        responses = aiter(call)
        first = await anext(responses)
        while not first.HasField("speaker"):
            first = await anext(responses)
        process.send_signal(signal.SIGTERM)
        rest = [response async for response in responses]
    cache = tmp_path / "another"
    expected = Revision(codec_revision(small, cache), llm_revision(small, cache))
    assert ServedModel.from_proto(model).revision == expected
    assert rest[-1].finish.completion_tokens == 2000
    assert sum(len(response.frames.codes.values) for response in rest) > 1000
    _, complaints = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in complaints
    assert b"leaked" not in complaints


async def test_fp16_checkpoint_is_refused(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "half", ignore=shutil.ignore_patterns("wav2vec2*", "*.safetensors"))
    weights = load_file(small / "LLM" / "model.safetensors")
    half = {name: tensor.half() for name, tensor in weights.items()}
    save_file(half, tmp_path / "half" / "LLM" / "model.safetensors")
    assert "overflow in fp16" in await refusal("--model", tmp_path / "half", "--cache-dir", tmp_path / "cache")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", str(ROOT / "tests")), "tokenizer.json"),
        (("--threads", "-1"), "threads"),
    ],
)
async def test_reason_not_to_start_is_told(small: Path, arguments: tuple[str, ...], said: str) -> None:
    answer = await refusal("--model", small, *arguments)
    assert said in answer
    assert "Traceback" not in answer
