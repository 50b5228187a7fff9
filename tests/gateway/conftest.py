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
from services.codec.detokenizer_servicer import DetokenizerServicer
from services.contract.design import DesignedVoice, Gender
from services.contract.detokenization import Chunk, DetokenizationConfig
from services.contract.frames import CodeFormat, FrameFormat, Frames
from services.contract.generation import (
    Finish,
    FinishReason,
    GenerationRequest,
    HeardVoice,
    MadeUpVoice,
    Progress,
)
from services.contract.model import (
    BuiltInVoice,
    Capability,
    DetokenizerDescription,
    LlmDescription,
    Revision,
    ServedModel,
    TokenizerDescription,
)
from services.contract.model_servicer import ModelServicer
from services.contract.speaker import Speaker, SpeakerStore
from services.contract.tokenization import TokenizationRequest, TokenizedRecording
from services.gateway.access.principal import EVERYBODY, entered
from services.gateway.decoding import Decoding
from services.gateway.generation import Generation
from services.gateway.metrics import GatewayMetrics
from services.gateway.stages import Stages, Targets
from services.gateway.synthesis import Pauses, Synthesis
from services.gateway.voices.resolver import VoiceResolver
from services.gateway.voices.store import VoiceStore
from services.llm.servicer import LlmServicer
from services.runtime.audio import Audio
from services.runtime.errors import (
    EngineDied,
    GenerationFailed,
    InvalidRequest,
    ModelNotFound,
    PermissionDenied,
    StageUnavailable,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
    VoiceExists,
    VoiceNotFound,
    VoxlineError,
    WrongRevision,
)
from services.runtime.interceptors import RpcInterceptor
from services.runtime.metrics import RpcMetrics
from services.runtime.turns import Turns
from voxline.stages.v1 import (
    detokenizer_pb2_grpc,
    llm_pb2_grpc,
    model_pb2_grpc,
    tokenizer_pb2_grpc,
)

RATE, HOP, CODEBOOK = 16000, 320, 1024
GLOBALS = 4
FIELD = 4
FORMAT = FrameFormat(RATE / HOP, CodeFormat(1, CODEBOOK))
REVISION = Revision("codec of the doubles", "llm of the doubles")
# The longest that anything here is waited for; far above what it takes, so that a busy machine does not fail a test.
PATIENCE = 60.0

TOKENIZER = TokenizerDescription("double", RATE, 30.0)
LLM = LlmDescription(
    engine="double",
    capabilities=frozenset(Capability),
    built_in_voices=tuple(BuiltInVoice(gender.value, gender.value.title(), DesignedVoice(gender)) for gender in Gender),
    default_voice="female",
    max_segment_characters=40,
    max_frames=1000,
    max_reference_frames=200,
)
DETOKENIZER = DetokenizerDescription("double", RATE, FIELD, FIELD, first_audio_frames=1)


def model(**changes: object) -> ServedModel:
    facts: dict[str, object] = {"id": "double", "family": "double", "revision": REVISION, "frames": FORMAT}
    return ServedModel(**(facts | changes))


def speaker_of(*global_tokens: int) -> Speaker:
    return Speaker(b"double" + bytes(token % 256 for token in global_tokens), global_tokens)


NOT_THE_CALLERS = (
    InvalidRequest,
    TooLarge,
    Unauthenticated,
    PermissionDenied,
    VoiceNotFound,
    ModelNotFound,
    VoiceExists,
    UnsupportedMediaType,
)


def outcome(cls: type[VoxlineError], stage: str) -> type[VoxlineError]:
    """What comes of an error without a field that a stage answers with every time: replicas are changed first where
    that may help, and a mistake that the caller cannot have made is ours.
    """
    changed = dict.fromkeys(NOT_THE_CALLERS, GenerationFailed)
    changed |= {} if stage == "tokenizer" else {EngineDied: GenerationFailed}
    return (changed | {WrongRevision: StageUnavailable}).get(cls, cls)


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


class Double:
    """`before(place)` is awaited before the answer of that place: it may wait, or raise an error of the table."""

    def __init__(self, description: ServedModel) -> None:
        self.model = description
        self.live = Live()
        self.before: Callable[[int], Awaitable[None]] = _nothing


async def _nothing(place: int) -> None:
    return None


class TokenizerDouble(Double, tokenizer_pb2_grpc.TokenizerServiceServicer):
    """Global tokens and frames are read off the bytes of the file; a file that starts with "bad" is none. The part of a
    long one that counts is its end.
    """

    def __init__(self) -> None:
        super().__init__(model(tokenizer=TOKENIZER))
        self.calls = 0

    async def Tokenize(self, request_iterator, context):
        self.calls += 1
        request = await TokenizationRequest.from_protos(request_iterator, 2**25)
        file = b"".join(request.pieces)
        frames = len(file) if request.longest is None else round(request.longest * RATE / HOP)
        audio = file[-frames:]
        self.model.revision.expect(request.revision)
        await self.before(0)
        if audio.startswith(b"bad"):
            raise InvalidRequest("This is no audio.", field="audio")
        speaker = speaker_of(len(audio), *audio[:3])
        recording = audio if request.keep else b""
        frames, start = Frames.of_codes(list(audio)), (len(file) - len(audio)) * HOP / RATE
        for response in TokenizedRecording(speaker, frames, 1.0, recording, start).to_protos():
            yield response


class LlmDouble(Double):
    """Draws one frame for each character. A speaker that it makes up is a new one each time, so drift would show.

    `draws(request)` gives the codes; `requests` keeps all that came; `reason(request)` tells how it ends.
    """

    def __init__(self) -> None:
        super().__init__(model(llm=LLM))
        self.requests: list[GenerationRequest] = []
        self.draws: Callable[[GenerationRequest], list[int]] = lambda request: [ord(c) for c in request.text]
        self.reason: Callable[[GenerationRequest], FinishReason] = lambda request: FinishReason.STOP
        self.made_up = 0

    async def generate(self, request: GenerationRequest):
        async with self.live.call():
            self.requests.append(request)
            codes = self.draws(request)
            first = request.prefix.frames.end if request.prefix else 0
            if not request.prefix:
                yield Progress(speaker=self.speaker(request), resume=b"named")
            for place, code in enumerate(codes[first:], first):
                await self.before(place)
                yield Progress(frames=Frames.of_codes([code], first=place))
            await self.before(len(codes))
            yield Progress(finish=Finish(self.reason(request), 10, len(codes), request.sampling.seed or 0))

    def speaker(self, request: GenerationRequest) -> Speaker:
        if request.voice.speaker is not None:
            return request.voice.speaker
        self.made_up += 1
        return speaker_of(*[self.made_up] * GLOBALS)

    @property
    def texts(self) -> list[str]:
        """What it was asked to speak, without the words by which speakers are selected."""
        return [request.text for request in self.spoken]

    @property
    def spoken(self) -> list[GenerationRequest]:
        return [r for r in self.requests if not (isinstance(r.voice, MadeUpVoice) and r.voice.speaker is None)]

    @property
    def kinds(self) -> list[type[HeardVoice | MadeUpVoice]]:
        return [type(request.voice) for request in self.spoken]


class DetokenizerDouble(Double):
    """Turns each message of frames into a chunk, once; `configs` keeps all that came."""

    def __init__(self) -> None:
        super().__init__(model(detokenizer=DETOKENIZER))
        self.configs: list[DetokenizationConfig] = []

    async def decode(self, config: DetokenizationConfig, frames):
        async with self.live.call():
            self.configs.append(config)
            place = 0
            async for part in frames:
                await self.before(place)
                place += 1
                samples = np.repeat(np.array(part.codes, np.float32) / CODEBOOK, HOP)
                yield Chunk(Audio(samples, RATE), part.first, len(part))


def spoken(samples: np.ndarray) -> str:
    """The text that the doubles turned into [T] samples; a silence of n frames reads as n zeros."""
    return "".join(chr(round(float(value) * CODEBOOK)) for value in samples[HOP // 2 :: HOP]).replace("\0", "0")


class StageDoubles:
    """`sockets`: the folder where they listen. `credentials`: None is no TLS."""

    credentials: grpc.ServerCredentials | None = None

    def __init__(self, sockets: Path) -> None:
        self.tokenizer = TokenizerDouble()
        self.llm = LlmDouble()
        self.detokenizer = DetokenizerDouble()
        self.servers: dict[str, grpc.aio.Server] = {}
        self.sockets = {name: sockets / name for name in STAGES}

    async def start(self, name: str) -> None:
        server = grpc.aio.server(interceptors=[RpcInterceptor(RpcMetrics(CollectorRegistry()))])
        double = getattr(self, name)
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(double.model), server)
        revision = double.model.revision
        if name == "tokenizer":
            tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(double, server)
        elif name == "llm":
            servicer = LlmServicer(double, revision, SpeakerStore())
            llm_pb2_grpc.add_LlmServiceServicer_to_server(servicer, server)
        else:
            servicer = DetokenizerServicer(double, FORMAT, revision, SpeakerStore())
            detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(servicer, server)
        if self.credentials is None:
            server.add_insecure_port(f"unix:{self.sockets[name]}")
        else:
            server.add_secure_port(f"unix:{self.sockets[name]}", self.credentials)
        await server.start()
        self.servers[name] = server

    async def stop(self, name: str) -> None:
        await self.servers.pop(name).stop(0)

    @property
    def targets(self) -> Targets:
        return Targets(**{name: f"unix:{socket}" for name, socket in self.sockets.items()})


@pytest.fixture(autouse=True)
def everybody():
    """Who calls what is behind the doors: whoever comes while there are no keys."""
    with entered(EVERYBODY):
        yield


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
    return synthesis_of(stages, store, registry)


def synthesis_of(stages, store, registry, pause_seconds=0.0) -> Synthesis:
    metrics = GatewayMetrics(registry)
    resolver, generation = VoiceResolver(stages, store, metrics), Generation(stages, metrics)
    return Synthesis(stages, resolver, generation, Decoding(stages, metrics), Pauses(pause_seconds), Turns())
