"""Both codec roles over real gRPC, with the bundled voice."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import parser

from services.codec.app import CodecStage, detokenizer_stage, tokenizer_stage
from services.codec.audio.reference import ReferenceLimits, load_reference
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.tokenizer import SparkTokenizer
from services.codec.settings import DetokenizerSettings, TokenizerSettings
from services.runtime.calls import duplex, unary
from services.runtime.channel import open_channel
from services.runtime.errors import InvalidRequest, TooLarge
from services.runtime.streams import collected
from voxline.v1 import (
    detokenizer_pb2,
    detokenizer_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    tokenizer_pb2,
    tokenizer_pb2_grpc,
    tokens_pb2,
)

ROOT = Path(__file__).parents[2]
VOICE = ROOT / "models/voxline-small"
CLIP = (ROOT / "tests/parity/spark-tiny/input.wav").read_bytes()
SPEAKER = [1, 2, 3, 4, 5, 6, 7, 8]


@dataclass
class Running:
    stage: CodecStage
    channel: grpc.aio.Channel

    async def model(self) -> model_pb2.Model:
        return await unary(model_pb2_grpc.ModelServiceStub(self.channel).GetModel, model_pb2.GetModelRequest())

    async def tokenize(self, audio: bytes) -> tokenizer_pb2.TokenizeResponse:
        stub = tokenizer_pb2_grpc.TokenizerServiceStub(self.channel)
        return await unary(stub.Tokenize, tokenizer_pb2.TokenizeRequest(audio=audio))

    def decode(
        self, speaker: Sequence[int], codes: Sequence[int], piece: int = 10, look_ahead: int | None = None
    ) -> AsyncGenerator[detokenizer_pb2.DetokenizeResponse, None]:
        stub = detokenizer_pb2_grpc.DetokenizerServiceStub(self.channel)
        return duplex(stub.Detokenize, requests(speaker, codes, piece, look_ahead))

    async def samples(self, codes: Sequence[int], piece: int = 10) -> np.ndarray:
        responses = await collected(self.decode(SPEAKER, codes, piece))
        return np.frombuffer(b"".join(response.audio.samples for response in responses), np.float32)


async def requests(
    speaker: Sequence[int], codes: Sequence[int], piece: int, look_ahead: int | None
) -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
    config = detokenizer_pb2.DetokenizeConfig(
        speaker=tokens_pb2.Speaker(global_tokens=speaker), look_ahead_frames=look_ahead
    )
    yield detokenizer_pb2.DetokenizeRequest(config=config)
    for begin in range(0, len(codes), piece):
        yield detokenizer_pb2.DetokenizeRequest(codes=tokens_pb2.Codes(values=codes[begin : begin + piece]))
        await asyncio.sleep(0)


async def running(stage: CodecStage) -> AsyncIterator[Running]:
    await stage.server.start()
    async with open_channel(f"127.0.0.1:{stage.server.port}") as channel:
        yield Running(stage, channel)
    await stage.server.stop()
    stage.failed.cancel()
    await asyncio.gather(stage.failed, return_exceptions=True)


@pytest.fixture
async def tokenizer() -> AsyncIterator[Running]:
    async for server in running(tokenizer_stage(TokenizerSettings(model=VOICE, port=0, metrics_port=0))):
        yield server


@pytest.fixture
async def detokenizer() -> AsyncIterator[Running]:
    settings = DetokenizerSettings(model=VOICE, port=0, metrics_port=0, drain_seconds=0)
    async for server in running(detokenizer_stage(settings)):
        yield server


def codes(count: int) -> list[int]:
    return np.random.default_rng(count).integers(0, 5120, count).tolist()


async def test_each_stage_says_what_it_serves(tokenizer: Running, detokenizer: Running) -> None:
    one, other = await tokenizer.model(), await detokenizer.model()
    for model in (one, other):
        assert (model.id, model.family, model.sample_rate_hertz, model.frame_rate_hertz) == (
            "voxline-small",
            "spark",
            16000,
            50.0,
        )
        assert (model.codebook_size, model.global_token_count, model.global_codebook_size) == (5120, 8, 256)
    served = SparkDetokenizer.load(VOICE)
    assert other.receptive_field_frames == served.receptive_field
    assert other.usual_look_ahead_frames == served.usual_look_ahead
    assert one.max_reference_seconds == 60


async def test_concurrent_clips_give_the_tokens_of_the_model(tokenizer: Running) -> None:
    responses = await asyncio.gather(*(tokenizer.tokenize(CLIP) for _ in range(4)))

    [expected] = SparkTokenizer.load(VOICE).tokenize([load_reference(CLIP, 16000, ReferenceLimits()).samples])
    for response in responses:
        assert tuple(response.speaker.global_tokens) == expected.global_tokens
        assert tuple(response.codes.values) == expected.semantic_tokens
        assert response.duration_seconds == pytest.approx(80488 / 16000, abs=1e-4)


@pytest.mark.parametrize("audio", [b"", b"not audio at all", CLIP[:60]])
async def test_what_is_no_audio_names_its_field(tokenizer: Running, audio: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await tokenizer.tokenize(audio)
    assert caught.value.field == "audio"
    assert (await tokenizer.tokenize(CLIP)).codes.values


async def test_too_large_a_file_is_refused(tokenizer: Running) -> None:
    with pytest.raises(TooLarge):
        await tokenizer.tokenize(CLIP + bytes(33 * 2**20))


async def test_streams_of_mixed_lengths_give_the_whole_decode(detokenizer: Running) -> None:
    model = SparkDetokenizer.load(VOICE)
    lengths = [1, 7, 30, 44, 90, 91, 150, 200]
    results = await asyncio.gather(*(detokenizer.samples(codes(n), n % 13 + 1) for n in lengths))
    for n, result in zip(lengths, results, strict=True):
        whole = model.decode(SPEAKER, codes(n))
        assert result.shape == whole.shape == (n * 320,)
        assert np.abs(result - whole).max() <= 1e-5


@pytest.mark.parametrize("stage", [detokenizer_stage, tokenizer_stage])
async def test_a_device_that_is_not_there_is_refused(stage: Callable[[Any], CodecStage]) -> None:
    of_stage = TokenizerSettings if stage is tokenizer_stage else DetokenizerSettings
    with pytest.raises(ValueError, match="device nowhere"):
        stage(of_stage(model=VOICE, device="nowhere"))


def test_bf16_is_refused_where_nothing_computes_it() -> None:
    with pytest.raises(ValueError, match="bf16"):
        SparkDetokenizer.load(VOICE, precision="bf16", cache=None)


async def test_no_codes_give_no_audio(detokenizer: Running) -> None:
    assert await collected(detokenizer.decode(SPEAKER, [])) == []


@pytest.mark.parametrize(
    ("speaker", "values", "field"),
    [([1, 2], [0], "global_tokens"), ([256] * 8, [0], "global_tokens"), (SPEAKER, [5120], "codes")],
)
async def test_bad_tokens_name_their_field(
    detokenizer: Running, speaker: list[int], values: list[int], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await collected(detokenizer.decode(speaker, values))
    assert caught.value.field is not None
    assert field in caught.value.field


async def test_the_first_message_must_be_the_config(detokenizer: Running) -> None:
    async def codes_first() -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
        yield detokenizer_pb2.DetokenizeRequest(codes=tokens_pb2.Codes(values=[1]))

    stub = detokenizer_pb2_grpc.DetokenizerServiceStub(detokenizer.channel)
    with pytest.raises(InvalidRequest) as caught:
        await collected(duplex(stub.Detokenize, codes_first()))
    assert caught.value.field == "config"


async def test_a_caller_that_leaves_frees_its_stream(detokenizer: Running) -> None:
    async def endless() -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
        async for request in requests(SPEAKER, codes(300), piece=10, look_ahead=4):
            yield request
        await asyncio.Event().wait()

    stub = detokenizer_pb2_grpc.DetokenizerServiceStub(detokenizer.channel)
    stream = duplex(stub.Detokenize, endless())
    await anext(stream)
    assert await open_streams(detokenizer) == 1
    await stream.aclose()
    async with asyncio.timeout(60):
        while await open_streams(detokenizer) != 0:
            pass


async def open_streams(server: Running) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.stage.server.metrics_port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode().split("\r\n\r\n", 1)[1]
    writer.close()
    families = parser.text_string_to_metric_families(text)
    return next(family.samples[0].value for family in families if family.name == "voxline_detokenizer_streams")
