"""Composes each codec role: the model, what batches it, and its gRPC services."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from services.codec.audio.reference import ReferenceLimits
from services.codec.batching import TokenizeBatcher
from services.codec.chunking import Chunking
from services.codec.codec import Codec, Detokenizer, Tokenizer
from services.codec.detokenizer_servicer import DetokenizerServicer
from services.codec.families.registry import load, revision
from services.codec.metrics import DetokenizerMetrics, TokenizerMetrics
from services.codec.settings import CodecSettings, DetokenizerSettings, TokenizerSettings
from services.codec.stream_scheduler import StreamScheduler
from services.codec.tokenizer_servicer import TokenizerServicer
from services.codec.warm_up import warm_up
from services.contract.model import DetokenizerDescription, Revision, ServedModel, TokenizerDescription
from services.contract.model_servicer import model_service
from services.contract.speaker import SpeakerStore
from services.runtime.server import Service, StageServer
from services.runtime.watchdog import Watchdog
from voxline.stages.v1 import detokenizer_pb2_grpc, tokenizer_pb2_grpc


@dataclass(frozen=True)
class CodecStage:
    """`failed`, and `watchdog.failed`, are done only when the model failed: the process should end."""

    server: StageServer
    failed: "asyncio.Future[None]"
    watchdog: Watchdog


def tokenizer_stage(settings: TokenizerSettings) -> CodecStage:
    """Loads the model; call it in a running loop. Raises CheckpointError, or ValueError for a device that is not
    there.
    """
    tokenizer: Tokenizer
    tokenizer, made_of = _loaded("tokenizer", settings)
    registry = CollectorRegistry()
    limits = ReferenceLimits(settings.max_audio_bytes, settings.min_audio_seconds, settings.max_audio_seconds)
    watchdog = Watchdog(settings.stall_seconds)
    batcher = TokenizeBatcher(tokenizer, settings.max_batch, TokenizerMetrics(registry), watchdog)
    servicer = TokenizerServicer(batcher, tokenizer.sample_rate, limits, made_of)
    description = TokenizerDescription(tokenizer.engine, tokenizer.sample_rate, settings.max_audio_seconds)
    model = replace(_served(tokenizer, made_of, settings), tokenizer=description)
    services = [_tokenizer_service(servicer), model_service(model)]
    return CodecStage(StageServer(services, settings, registry), batcher.failed, watchdog)


def detokenizer_stage(settings: DetokenizerSettings) -> CodecStage:
    """Loads the model; call it in a running loop. Raises CheckpointError, or ValueError for a device that is not there
    or a precision that this CPU lacks.
    """
    detokenizer: Detokenizer[Any]
    detokenizer, made_of = _loaded("detokenizer", settings, precision=settings.precision, cache=settings.cache_dir)
    registry, chunking = CollectorRegistry(), settings.chunking
    warm_up(detokenizer, chunking)
    watchdog = Watchdog(settings.stall_seconds)
    scheduler = StreamScheduler(detokenizer, chunking, DetokenizerMetrics(registry), watchdog)
    servicer = DetokenizerServicer(scheduler, detokenizer.frame_format, made_of, SpeakerStore())
    model = replace(_served(detokenizer, made_of, settings), detokenizer=_description(detokenizer, chunking))
    services = [_detokenizer_service(servicer), model_service(model)]
    return CodecStage(StageServer(services, settings, registry), scheduler.failed, watchdog)


def _loaded(role: str, settings: CodecSettings, **options: object) -> tuple[Any, Revision]:
    """The model, and what it is made of: its files are read for that beside."""
    with ThreadPoolExecutor(1, "revision") as beside:
        made_of = beside.submit(revision, settings.family, settings.model, settings.cache_dir)
        model = load(settings.family, role, settings.model, settings.threads, settings.device, **options)
        return model, made_of.result()


def _served(codec: Codec, made_of: Revision, settings: CodecSettings) -> ServedModel:
    """What both halves have in common."""
    return ServedModel(settings.model.resolve().name, settings.family, made_of, codec.frame_format)


def _description(detokenizer: Detokenizer[Any], chunking: Chunking) -> DetokenizerDescription:
    return DetokenizerDescription(
        engine=detokenizer.engine,
        sample_rate=detokenizer.sample_rate,
        left_field=detokenizer.left_field,
        right_field=detokenizer.right_field,
        first_audio_frames=chunking.needed_at_first,
        usual_look_ahead=detokenizer.usual_look_ahead,
    )


def _tokenizer_service(servicer: TokenizerServicer) -> Service:
    def register(server: grpc.aio.Server) -> None:
        tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(servicer, server)

    return Service("voxline.stages.v1.TokenizerService", register)


def _detokenizer_service(servicer: DetokenizerServicer) -> Service:
    def register(server: grpc.aio.Server) -> None:
        detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(servicer, server)

    return Service("voxline.stages.v1.DetokenizerService", register)


STAGES: dict[str, Callable[[Any], CodecStage]] = {"tokenizer": tokenizer_stage, "detokenizer": detokenizer_stage}
SETTINGS: dict[str, type[CodecSettings]] = {"tokenizer": TokenizerSettings, "detokenizer": DetokenizerSettings}
