"""Both codec roles over real gRPC, with the bundled voice."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, replace
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
from services.contract.detokenization import Chunk, DetokenizationConfig, Priming
from services.contract.families.spark import SparkSpeaker, codec_revision
from services.contract.frames import CodeFormat, FrameFormat, Frames
from services.contract.model import Revision, ServedModel
from services.contract.speaker import Speaker
from services.contract.tokenization import TokenizationRequest, TokenizedRecording
from services.runtime.calls import duplex, unary
from services.runtime.channel import open_channel
from services.runtime.errors import (
    GenerationFailed,
    InvalidRequest,
    Overloaded,
    TooLarge,
    WrongRevision,
    from_rpc_error,
)
from services.runtime.streams import collected
from voxline.stages.v1 import (
    detokenizer_pb2,
    detokenizer_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    tokenizer_pb2,
    tokenizer_pb2_grpc,
)

ROOT = Path(__file__).parents[2]
VOICE = ROOT / "models/voxline-small"
CLIP = (ROOT / "tests/parity/spark-tiny/input.wav").read_bytes()
TOKENS = (1, 2, 3, 4, 5, 6, 7, 8)
SPEAKER = SparkSpeaker(TOKENS).speaker()
OTHER = Revision(codec="0" * 64)


@dataclass
class Running:
    stage: CodecStage
    channel: grpc.aio.Channel

    async def model(self) -> ServedModel:
        stub = model_pb2_grpc.ModelServiceStub(self.channel)
        return ServedModel.from_proto(await unary(stub.GetModel, model_pb2.GetModelRequest()))

    async def tokenize(
        self, audio: bytes, keep: bool = False, revision: Revision = Revision(), longest: float | None = None
    ) -> TokenizedRecording:
        stub = tokenizer_pb2_grpc.TokenizerServiceStub(self.channel)
        request = TokenizationRequest.of(audio, revision, keep, longest)

        async def pieces() -> AsyncGenerator[tokenizer_pb2.TokenizeRequest, None]:
            for piece in request.to_protos():
                yield piece

        return TokenizedRecording.from_protos(await collected(duplex(stub.Tokenize, pieces())))

    def call(
        self, requests: AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]
    ) -> AsyncGenerator[detokenizer_pb2.DetokenizeResponse, None]:
        return duplex(detokenizer_pb2_grpc.DetokenizerServiceStub(self.channel).Detokenize, requests)

    async def chunks(self, config: DetokenizationConfig, frames: Frames, piece: int = 10) -> list[Chunk]:
        return [Chunk.from_proto(response) for response in await collected(self.call(requests(config, frames, piece)))]

    async def samples(self, frames: Frames, piece: int = 10) -> np.ndarray:
        chunks = await self.chunks(DetokenizationConfig(speaker=SPEAKER), frames, piece)
        return np.concatenate([chunk.audio.samples for chunk in chunks])


async def requests(
    config: DetokenizationConfig, frames: Frames, piece: int = 10
) -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
    yield detokenizer_pb2.DetokenizeRequest(config=config.to_proto())
    for first in range(frames.first, frames.end, piece):
        part = Frames(first, frames.since(first).values[:piece])
        yield detokenizer_pb2.DetokenizeRequest(frames=part.to_proto())
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


def codes(count: int) -> Frames:
    return Frames.of_codes(np.random.default_rng(count).integers(0, 5120, count).tolist())


async def test_each_stage_says_what_it_serves(tokenizer: Running, detokenizer: Running, tmp_path: Path) -> None:
    one, other = await tokenizer.model(), await detokenizer.model()
    revision = Revision(codec=codec_revision(VOICE, tmp_path))
    assert revision.codec
    for model in (one, other):
        assert (model.id, model.family, model.revision) == ("voxline-small", "spark", revision)
        assert model.frames == FrameFormat(50.0, CodeFormat(1, 5120))
    assert one.tokenizer is not None
    assert other.detokenizer is not None
    assert (one.detokenizer, one.llm, other.tokenizer, other.llm) == (None,) * 4
    assert (one.tokenizer.engine, one.tokenizer.sample_rate, one.tokenizer.max_reference_seconds) == (
        "torch",
        16000,
        60,
    )
    served = SparkDetokenizer.load(VOICE)
    description = other.detokenizer
    assert (description.engine, description.sample_rate) == ("cpu", 16000)
    assert (description.left_field, description.right_field) == (served.left_field, served.right_field)
    assert (description.first_audio_frames, description.usual_look_ahead) == (11, served.usual_look_ahead)


async def test_so_many_recordings_at_once_are_turned_away_unread(tokenizer: Running) -> None:
    """Each takes its samples' memory as it is read."""
    results = await asyncio.gather(*(tokenizer.tokenize(CLIP) for _ in range(60)), return_exceptions=True)
    kinds = Counter(type(result) for result in results)
    assert set(kinds) == {TokenizedRecording, Overloaded}
    assert kinds[TokenizedRecording] >= 16


@pytest.mark.usefixtures("without_compiler")
async def test_torchs_operators_are_called_so(tmp_path: Path) -> None:
    """Without a compiler they are what runs."""
    settings = DetokenizerSettings(model=VOICE, port=0, metrics_port=0, cache_dir=tmp_path, max_batch=1)
    async for server in running(detokenizer_stage(settings)):
        description = (await server.model()).detokenizer
        assert description is not None
        assert description.engine == "torch"


async def test_another_revision_is_refused_before_anything_is_computed(
    tokenizer: Running, detokenizer: Running
) -> None:
    with pytest.raises(WrongRevision):
        await tokenizer.tokenize(b"not even audio", revision=OTHER)
    config = DetokenizationConfig(speaker=Speaker(b"no speaker of this model"), revision=OTHER)
    with pytest.raises(WrongRevision):
        await detokenizer.chunks(config, codes(3))


async def test_the_same_revision_is_served(tokenizer: Running, detokenizer: Running) -> None:
    revision = (await tokenizer.model()).revision
    heard = await tokenizer.tokenize(CLIP, revision=revision)
    config = DetokenizationConfig(speaker=heard.speaker, revision=revision)
    assert sum(chunk.frame_count for chunk in await detokenizer.chunks(config, heard.frames)) == len(heard.frames)


async def test_concurrent_clips_give_the_tokens_of_the_model(tokenizer: Running) -> None:
    answers = await asyncio.gather(*(tokenizer.tokenize(CLIP) for _ in range(4)))

    [expected] = SparkTokenizer.load(VOICE).tokenize([load_reference(CLIP, 16000, ReferenceLimits()).clip.samples])
    for heard in answers:
        assert heard.speaker == expected.speaker
        assert heard.speaker.global_tokens == expected.global_tokens
        assert heard.frames == expected.frames
        assert heard.seconds == pytest.approx(80488 / 16000, abs=1e-4)
        assert heard.recording == b""


async def test_the_recording_that_comes_back_gives_the_same_answer(tokenizer: Running) -> None:
    for file in ("input.wav", "input_stereo44k.wav", "input_quiet8k.wav", "input_long16k.flac"):
        heard = await tokenizer.tokenize((ROOT / "tests/parity/spark-tiny" / file).read_bytes(), keep=True)
        assert heard.recording.startswith(b"fLaC")
        assert await tokenizer.tokenize(heard.recording, keep=True) == heard


async def test_of_a_long_recording_a_part_comes_back(tokenizer: Running) -> None:
    clip = (ROOT / "tests/parity/spark-tiny/input_long16k.flac").read_bytes()
    part = await tokenizer.tokenize(clip, keep=True, longest=3.0)
    assert part.start > 0
    assert 2.5 < part.seconds <= 3
    assert replace(await tokenizer.tokenize(part.recording, keep=True, longest=3.0), start=part.start) == part
    assert await tokenizer.tokenize(clip, longest=8.0) == await tokenizer.tokenize(clip)


@pytest.mark.parametrize("audio", [b"", b"not audio at all", CLIP[:60]])
async def test_what_is_no_audio_names_its_field(tokenizer: Running, audio: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await tokenizer.tokenize(audio)
    assert caught.value.field == "audio"
    assert len((await tokenizer.tokenize(CLIP)).frames)


async def test_too_large_a_file_is_refused(tokenizer: Running) -> None:
    with pytest.raises(TooLarge):
        await tokenizer.tokenize(CLIP + bytes(33 * 2**20))


async def test_streams_of_mixed_lengths_give_the_whole_decode(detokenizer: Running) -> None:
    model = SparkDetokenizer.load(VOICE)
    lengths = [1, 7, 30, 44, 90, 91, 150, 200]
    results = await asyncio.gather(*(detokenizer.samples(codes(n), n % 13 + 1) for n in lengths))
    for n, result in zip(lengths, results, strict=True):
        whole = model.decode(TOKENS, codes(n).codes)
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


async def test_no_frames_give_no_audio(detokenizer: Running) -> None:
    assert await detokenizer.chunks(DetokenizationConfig(speaker=SPEAKER), Frames.of_codes([])) == []


def invalid_field(error: GenerationFailed) -> str | None:
    """What the stage said: to whoever calls it, it is a fault of the gateway's own."""
    assert isinstance(error.__cause__, grpc.aio.AioRpcError)
    said = from_rpc_error(error.__cause__)
    assert isinstance(said, InvalidRequest)
    return said.field


@pytest.mark.parametrize(
    ("speaker", "frames", "field"),
    [
        (None, Frames.of_codes([0]), "speaker"),
        (Speaker(b"\xff"), Frames.of_codes([0]), "speaker.state"),
        (SparkSpeaker((1, 2)).speaker(), Frames.of_codes([0]), "speaker"),
        (SparkSpeaker((256,) * 8).speaker(), Frames.of_codes([0]), "speaker"),
        (SPEAKER, Frames.of_codes([5120]), "frames"),
        (SPEAKER, Frames.of_codes([1, 2], codebooks=2), "frames"),
        (SPEAKER, Frames(0, np.zeros((1, 1), np.float32)), "frames"),
        (SPEAKER, Frames.of_codes([0], first=1), "frames.first_frame"),
    ],
)
async def test_what_does_not_fit_names_its_field(
    detokenizer: Running, speaker: Speaker | None, frames: Frames, field: str
) -> None:
    with pytest.raises(GenerationFailed) as caught:
        await detokenizer.chunks(DetokenizationConfig(speaker=speaker), frames)
    assert invalid_field(caught.value) == field


async def test_the_first_message_must_be_the_config(detokenizer: Running) -> None:
    async def frames_first() -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
        yield detokenizer_pb2.DetokenizeRequest(frames=codes(1).to_proto())

    with pytest.raises(GenerationFailed) as caught:
        await collected(detokenizer.call(frames_first()))
    assert invalid_field(caught.value) == "config"


async def test_an_utterance_goes_on_where_another_replica_stopped(detokenizer: Running) -> None:
    config, frames = DetokenizationConfig(speaker=SPEAKER, look_ahead=12), codes(200)
    undisturbed = await detokenizer.chunks(config, frames)
    sent, missing = undisturbed[:5], undisturbed[5:]
    end = sent[-1].end_frame
    first = end - 49
    reached = tuple(chunk.frame_count for chunk in sent if chunk.end_frame > first)
    priming = Priming(Frames(first, frames.values[first:end]), end, reached)
    went_on = await detokenizer.chunks(replace(config, priming=priming), frames.since(end))
    assert [(chunk.first_frame, chunk.frame_count) for chunk in went_on] == [
        (chunk.first_frame, chunk.frame_count) for chunk in missing
    ]
    for one, other in zip(went_on, missing, strict=True):
        assert np.array_equal(one.audio.samples, other.audio.samples)
    assert await counted(detokenizer, "voxline_detokenizer_primed_frames") == 49 + 12


async def test_a_caller_that_leaves_frees_its_stream(detokenizer: Running) -> None:
    async def endless() -> AsyncGenerator[detokenizer_pb2.DetokenizeRequest, None]:
        async for request in requests(DetokenizationConfig(speaker=SPEAKER, look_ahead=4), codes(300)):
            yield request
        await asyncio.Event().wait()

    stream = detokenizer.call(endless())
    await anext(stream)
    assert await counted(detokenizer, "voxline_detokenizer_streams") == 1
    await stream.aclose()
    async with asyncio.timeout(60):
        while await counted(detokenizer, "voxline_detokenizer_streams") != 0:
            pass


async def counted(server: Running, metric: str) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.stage.server.metrics_port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode().split("\r\n\r\n", 1)[1]
    writer.close()
    families = parser.text_string_to_metric_families(text)
    return next(family.samples[0].value for family in families if family.name == metric)
