"""Model lines that do not exist here, scripted: what they say of themselves is that of real ones, what they draw
follows from what they were asked, so that anything lost, repeated or mixed up is heard.

Their stages are the servicers that real models stand behind, over gRPC.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import numpy as np
from prometheus_client import CollectorRegistry

from services.codec.detokenizer_servicer import DetokenizerServicer
from services.contract.detokenization import Chunk, DetokenizationConfig
from services.contract.frames import CodeFormat, Frames
from services.contract.generation import Finish, FinishReason, GenerationRequest, ModelVoice, Progress
from services.contract.model import ServedModel
from services.contract.model_servicer import ModelServicer
from services.contract.speaker import Speaker, SpeakerStore
from services.contract.tokenization import TokenizationRequest, TokenizedRecording
from services.llm.servicer import LlmServicer
from services.runtime.audio import Audio
from services.runtime.channel import MAX_MESSAGE_BYTES
from services.runtime.interceptors import RpcInterceptor
from services.runtime.metrics import RpcMetrics
from voxline.stages.v1 import (
    detokenizer_pb2_grpc,
    llm_pb2_grpc,
    model_pb2_grpc,
    tokenizer_pb2_grpc,
)

FRAMES_PER_CHARACTER = 2


@dataclass
class Family:
    """`step`: frames in a message of the LLM, 0 for a whole segment at once; `speaker`: what it makes of a recording,
    None for a family without.
    """

    served: ServedModel
    step: int = 1
    speaker: Speaker | None = None

    def drawn(self, request: GenerationRequest) -> Frames:
        """All frames of a segment: they follow from text, voice, context, language and seed."""
        voice = request.voice
        said = {
            "text": request.text,
            "voice": voice.id if isinstance(voice, ModelVoice) else "",
            "speaker": voice.speaker.digest.hex() if voice.speaker else "",
            "context": [[turn.text, turn.speaker, _digest(turn.frames)] for turn in voice.context],
            "seed": request.sampling.seed,
        }
        random = np.random.default_rng(int.from_bytes(hashlib.sha256(json.dumps(said).encode()).digest()[:8]))
        kind, count = self.served.frames.kind, FRAMES_PER_CHARACTER * len(request.text)
        if isinstance(kind, CodeFormat):
            return Frames(0, random.integers(0, kind.codebook_size, (count, kind.codebooks)).astype(np.uint32))
        return Frames(0, random.standard_normal((count, kind.width)).astype("<f4"))

    def levels(self, frames: Frames, speaker: Speaker | None) -> np.ndarray:
        """[n]: how loud each frame is, which depends on those of its left field."""
        own = [int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:2]) / 2**17 for row in frames.values]
        assert self.served.detokenizer is not None
        left = self.served.detokenizer.left_field
        shift = 0.0 if speaker is None else speaker.digest[0] / 2**10
        return np.array([np.mean(own[max(0, i - left) : i + 1]) + shift for i in range(len(own))], np.float32)


def _digest(frames: Frames | None) -> str:
    return "" if frames is None else hashlib.sha256(frames.values.tobytes()).hexdigest()


async def _nothing(place: int) -> None:
    return None


@dataclass
class Replica:
    """One process of a family: the stages that it serves, on a port of its own. `before(place)` is awaited before each
    message of frames, and before each chunk of audio.
    """

    family: Family
    before_frames: Callable[[int], Awaitable[None]] = _nothing
    before_audio: Callable[[int], Awaitable[None]] = _nothing
    generations: list[GenerationRequest] = field(default_factory=list)
    utterances: list[DetokenizationConfig] = field(default_factory=list)
    recordings: int = 0
    state_bytes: int = 0

    async def start(self) -> None:
        served, speakers = self.family.served, SpeakerStore()
        interceptors = [RpcInterceptor(RpcMetrics(CollectorRegistry())), _CountedStates(self)]
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", -1)]
        self._server = grpc.aio.server(interceptors=interceptors, options=options)
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(served), self._server)
        if served.llm is not None:
            llm_pb2_grpc.add_LlmServiceServicer_to_server(LlmServicer(self, served.revision, speakers), self._server)
        if served.detokenizer is not None:
            detokenizer = DetokenizerServicer(self, served.frames, served.revision, speakers)
            detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(detokenizer, self._server)
        if served.tokenizer is not None:
            tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(_Tokenizer(self), self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    async def die(self) -> None:
        """From within a call: all calls break."""
        self._death = asyncio.create_task(self._server.stop(0))
        await asyncio.Event().wait()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        self.generations.append(request)
        whole = self.family.drawn(request)
        first = request.prefix.frames.end if request.prefix else 0
        if request.prefix is not None:
            assert request.prefix.frames == Frames(0, whole.values[:first]), "a prefix of something else"
            assert request.prefix.resume == b"so far"
        step = self.family.step or len(whole)
        for place in range(first, len(whole), step):
            await self.before_frames(place)
            yield Progress(frames=Frames(place, whole.values[place : place + step]), resume=b"so far")
        yield Progress(finish=Finish(FinishReason.STOP, 1, len(whole), request.sampling.seed or 0))

    async def decode(
        self, config: DetokenizationConfig, frames: AsyncGenerator[Frames, None]
    ) -> AsyncGenerator[Chunk, None]:
        self.utterances.append(config)
        served = self.family.served
        assert served.detokenizer is not None
        rate = served.detokenizer.sample_rate
        known = config.priming.frames if config.priming else served.frames.zeros(0)
        place = config.priming.from_frame if config.priming else 0
        async for part in frames:
            known = Frames(known.first, np.concatenate([known.values, part.values]))
            levels = self.family.levels(known, config.speaker)
            for level in levels[place - known.first :]:
                await self.before_audio(place)
                samples = np.full(round(rate / served.frames.frame_rate), level, np.float32)
                yield Chunk(Audio(samples, rate), place, 1)
                place += 1


class _Tokenizer(tokenizer_pb2_grpc.TokenizerServiceServicer):
    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def Tokenize(self, request_iterator, context):
        self._replica.recordings += 1
        request = await TokenizationRequest.from_protos(request_iterator, 2**25)
        family = self._replica.family
        family.served.revision.expect(request.revision)
        assert family.speaker is not None
        recording = b"".join(request.pieces) if request.keep else b""
        for response in TokenizedRecording(family.speaker, family.served.frames.zeros(0), 1.0, recording).to_protos():
            yield response


# Methods that may bring a speaker's state.
_SPEAKING = ("/voxline.stages.v1.LlmService/Generate", "/voxline.stages.v1.DetokenizerService/Detokenize")


class _CountedStates(grpc.aio.ServerInterceptor):
    """Counts what comes in of speakers' states."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def intercept_service(self, continuation, details):
        handler = await continuation(details)
        if handler is None or details.method not in _SPEAKING:
            return handler

        async def counted(requests):
            async for request in requests:
                self._replica.state_bytes += len(request.speaker_state)
                speaker = getattr(request.config.speaker, "speaker", request.config.speaker)
                self._replica.state_bytes += len(speaker.state)
                yield request

        def respond(requests, context):
            return handler.stream_stream(counted(requests), context)

        return grpc.stream_stream_rpc_method_handler(respond, handler.request_deserializer, handler.response_serializer)
