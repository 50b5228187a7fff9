"""Test doubles of the three stages: real gRPC servers on Unix sockets that speak the real protocol.

The double of the LLM draws one code for each character, the double of the detokenizer turns each code into one frame
whose samples all carry it: what was spoken can be read back from the audio (`spoken`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.cli.stack import STAGES, socket_directory
from services.gateway.generation import Generation
from services.gateway.metrics import GatewayMetrics
from services.gateway.stages import Stages, Targets
from services.gateway.synthesis import Synthesis
from services.gateway.voices.resolver import VoiceResolver
from services.gateway.voices.store import VoiceStore
from services.runtime.audio import Audio
from services.runtime.errors import InvalidRequest
from services.runtime.interceptors import RpcInterceptor
from services.runtime.metrics import RpcMetrics
from voxline.v1 import (
    audio_pb2,
    detokenizer_pb2,
    detokenizer_pb2_grpc,
    llm_pb2,
    llm_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    tokenizer_pb2,
    tokenizer_pb2_grpc,
    tokens_pb2,
)

RATE, HOP, CODEBOOK = 16000, 320, 1024
GLOBALS = 4
# The longest that anything here is waited for; far above what it takes, so that a busy machine does not fail a test.
PATIENCE = 60.0


def model(**changes: object) -> model_pb2.Model:
    facts: dict[str, object] = {
        "id": "double",
        "family": "double",
        "engine": "double",
        "sample_rate_hertz": RATE,
        "frame_rate_hertz": RATE / HOP,
        "codebooks": 1,
        "codebook_size": CODEBOOK,
        "global_token_count": GLOBALS,
        "global_codebook_size": 4096,
        "receptive_field_frames": 4,
        "capabilities": [
            model_pb2.CAPABILITY_CLONE,
            model_pb2.CAPABILITY_CLONE_WITH_TRANSCRIPT,
            model_pb2.CAPABILITY_DESIGN,
        ],
        "built_in_voices": [
            model_pb2.BuiltInVoice(
                id=name,
                display_name=name.title(),
                design=model_pb2.DesignedVoice(
                    gender=gender, pitch=model_pb2.LEVEL_MODERATE, speed=model_pb2.LEVEL_MODERATE
                ),
            )
            for name, gender in (("female", model_pb2.GENDER_FEMALE), ("male", model_pb2.GENDER_MALE))
        ],
        "default_voice": "female",
        "max_segment_characters": 40,
        "max_reference_seconds": 30.0,
    }
    return model_pb2.Model(**(facts | changes))


class Live:
    """How many calls run in a stage, to be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        await self._change(1)
        try:
            yield
        finally:
            await asyncio.shield(self._change(-1))

    async def _change(self, step: int) -> None:
        async with self._changed:
            self.count += step
            self._changed.notify_all()

    async def until(self, count: int, timeout: float = PATIENCE) -> None:
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: self.count == count)


class Double(model_pb2_grpc.ModelServiceServicer):
    """`before(place)` is awaited before the answer of that place: it may wait, or raise an error of the table."""

    def __init__(self) -> None:
        self.model = model()
        self.live = Live()
        self.before: Callable[[int], Awaitable[None]] = _nothing

    async def GetModel(self, request, context):
        return self.model


async def _nothing(place: int) -> None:
    return None


class TokenizerDouble(Double, tokenizer_pb2_grpc.TokenizerServiceServicer):
    """Global tokens and codes are read off the bytes of the file; a file that starts with "bad" is none."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def Tokenize(self, request, context):
        self.calls += 1
        await self.before(0)
        if request.audio.startswith(b"bad"):
            raise InvalidRequest("This is no audio.", field="audio")
        speaker = tokens_pb2.Speaker(global_tokens=[len(request.audio), *request.audio[:3]])
        return tokenizer_pb2.TokenizeResponse(
            speaker=speaker, codes=tokens_pb2.Codes(values=list(request.audio)), duration_seconds=1.0
        )


class LlmDouble(Double, llm_pb2_grpc.LlmServiceServicer):
    """Draws one code for each character. A speaker that it makes up is a new one each time, so drift would show.

    `draws(request)` gives the codes; `requests` keeps all that came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[llm_pb2.GenerateRequest] = []
        self.draws: Callable[[llm_pb2.GenerateRequest], list[int]] = lambda request: [ord(c) for c in request.text]
        self.made_up = 0

    async def Generate(self, request, context):
        async with self.live.call():
            self.requests.append(request)
            yield llm_pb2.GenerateResponse(speaker=self.speaker(request))
            codes = self.draws(request)
            for place, code in enumerate(codes):
                await self.before(place)
                yield llm_pb2.GenerateResponse(codes=tokens_pb2.Codes(values=[code]))
            await self.before(len(codes))
            finish = llm_pb2.Finish(
                reason=llm_pb2.FINISH_REASON_STOP,
                prompt_tokens=10,
                completion_tokens=len(codes),
                seed=request.sampling.seed,
            )
            yield llm_pb2.GenerateResponse(finish=finish)

    def speaker(self, request):
        known = request.clone.speaker if request.HasField("clone") else request.design.speaker
        if known.global_tokens:
            return known
        self.made_up += 1
        return tokens_pb2.Speaker(global_tokens=[self.made_up] * GLOBALS, style_tokens=[7, self.made_up])

    @property
    def texts(self) -> list[str]:
        """What it was asked to speak, without the words by which the speakers of designed voices are selected."""
        return [request.text for request in self.spoken]

    @property
    def spoken(self) -> list[llm_pb2.GenerateRequest]:
        return [r for r in self.requests if not (r.HasField("design") and not r.design.HasField("speaker"))]


class DetokenizerDouble(Double, detokenizer_pb2_grpc.DetokenizerServiceServicer):
    def __init__(self) -> None:
        super().__init__()
        self.configs: list[detokenizer_pb2.DetokenizeConfig] = []

    async def Detokenize(self, request_iterator, context):
        async with self.live.call():
            place = 0
            async for request in request_iterator:
                if request.HasField("config"):
                    self.configs.append(request.config)
                    continue
                await self.before(place)
                place += 1
                samples = np.repeat(np.array(request.codes.values, np.float32) / CODEBOOK, HOP)
                yield detokenizer_pb2.DetokenizeResponse(
                    audio=audio_pb2.Audio(samples=Audio(samples, RATE).to_bytes(), sample_rate_hertz=RATE)
                )


def spoken(samples: np.ndarray) -> str:
    """The text that the doubles turned into [T] samples; a silence of n frames reads as n zeros."""
    return "".join(chr(round(float(value) * CODEBOOK)) for value in samples[HOP // 2 :: HOP]).replace("\0", "0")


class StageDoubles:
    """`sockets`: the folder where they listen."""

    def __init__(self, sockets: Path) -> None:
        self.tokenizer = TokenizerDouble()
        self.llm = LlmDouble()
        self.detokenizer = DetokenizerDouble()
        self.servers: dict[str, grpc.aio.Server] = {}
        self.sockets = {name: sockets / name for name in STAGES}

    async def start(self, name: str) -> None:
        server = grpc.aio.server(interceptors=[RpcInterceptor(RpcMetrics(CollectorRegistry()))])
        double = getattr(self, name)
        model_pb2_grpc.add_ModelServiceServicer_to_server(double, server)
        if name == "tokenizer":
            tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(double, server)
        elif name == "llm":
            llm_pb2_grpc.add_LlmServiceServicer_to_server(double, server)
        else:
            detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(double, server)
        server.add_insecure_port(f"unix:{self.sockets[name]}")
        await server.start()
        self.servers[name] = server

    async def stop(self, name: str) -> None:
        await self.servers.pop(name).stop(0)

    @property
    def targets(self) -> Targets:
        return Targets(**{name: f"unix:{socket}" for name, socket in self.sockets.items()})


@pytest.fixture
def sockets():
    with socket_directory() as directory:
        yield directory


@pytest.fixture
async def doubles(sockets):
    doubles = StageDoubles(sockets)
    for name in STAGES:
        await doubles.start(name)
    yield doubles
    for name in list(doubles.servers):
        await doubles.stop(name)


@pytest.fixture
async def stages(doubles):
    stages = Stages(doubles.targets, None)
    stages.start()
    async with asyncio.timeout(PATIENCE):
        await stages.until(lambda: not stages.reasons())
    yield stages
    await stages.stop()


@pytest.fixture
async def store(tmp_path):
    store = VoiceStore(f"sqlite:///{tmp_path}/data/voices.db")
    await store.start()
    yield store
    await store.stop()


def text_of(pcm: bytes) -> str:
    return spoken((np.frombuffer(pcm, "<i2") / 32767).astype(np.float32))


async def heard(stream) -> str:
    return spoken(np.concatenate([audio.samples async for audio in stream]))


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def synthesis(stages, store, registry):
    return Synthesis(stages, VoiceResolver(stages, store), Generation(stages, GatewayMetrics(registry)), 0.0)
