"""Composes each codec role: the model, what batches it, and its gRPC services."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from services.codec.audio.reference import ReferenceLimits
from services.codec.batching import TokenizeBatcher
from services.codec.codec import Detokenizer, Tokenizer
from services.codec.detokenizer_servicer import DetokenizerServicer
from services.codec.families.registry import load
from services.codec.metrics import DetokenizerMetrics, TokenizerMetrics
from services.codec.model_servicer import ModelServicer, describe
from services.codec.settings import CodecSettings, DetokenizerSettings, TokenizerSettings
from services.codec.stream_scheduler import Chunking, StreamScheduler
from services.codec.tokenizer_servicer import TokenizerServicer
from services.codec.warm_up import warm_up
from services.runtime.server import Service, StageServer
from voxline.v1 import detokenizer_pb2_grpc, model_pb2, model_pb2_grpc, tokenizer_pb2_grpc


@dataclass(frozen=True)
class CodecStage:
    """`failed` is done only when the model failed: the process should end."""

    server: StageServer
    failed: "asyncio.Future[None]"


def tokenizer_stage(settings: TokenizerSettings) -> CodecStage:
    """Loads the model; call it in a running loop. Raises CheckpointError, or ValueError for a device that is not
    there.
    """
    tokenizer: Tokenizer = load(settings.family, "tokenizer", settings.model, settings.threads, settings.device)
    registry = CollectorRegistry()
    limits = ReferenceLimits(settings.max_audio_bytes, settings.min_audio_seconds, settings.max_audio_seconds)
    batcher = TokenizeBatcher(tokenizer, settings.max_batch, TokenizerMetrics(registry))
    servicer = TokenizerServicer(tokenizer, batcher, limits)
    model = describe(tokenizer, settings.model.resolve().name, settings.family)
    model.max_reference_seconds = settings.max_audio_seconds
    add = tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server
    service = Service("voxline.v1.TokenizerService", lambda server: add(servicer, server))
    return CodecStage(_server(service, model, settings, registry), batcher.failed)


def detokenizer_stage(settings: DetokenizerSettings) -> CodecStage:
    """Loads the model; call it in a running loop. Raises CheckpointError, or ValueError for a device that is not there
    or a precision that this CPU lacks.
    """
    options = {"precision": settings.precision, "cache": settings.cache_dir}
    detokenizer: Detokenizer[Any] = load(
        settings.family, "detokenizer", settings.model, settings.threads, settings.device, **options
    )
    registry = CollectorRegistry()
    chunking = Chunking(
        settings.first_chunk_frames, settings.max_chunk_frames, settings.max_batch, settings.max_step_frames
    )
    warm_up(detokenizer, chunking)
    scheduler = StreamScheduler(detokenizer, chunking, DetokenizerMetrics(registry))
    servicer = DetokenizerServicer(detokenizer, scheduler)
    model = describe(detokenizer, settings.model.resolve().name, settings.family)
    model.receptive_field_frames = detokenizer.receptive_field
    model.first_audio_frames = chunking.needed_at_first
    model.usual_look_ahead_frames = detokenizer.usual_look_ahead
    add = detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server
    service = Service("voxline.v1.DetokenizerService", lambda server: add(servicer, server))
    return CodecStage(_server(service, model, settings, registry), scheduler.failed)


def _server(
    service: Service, model: model_pb2.Model, settings: CodecSettings, registry: CollectorRegistry
) -> StageServer:
    def register(server: grpc.aio.Server) -> None:
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(model), server)

    return StageServer([service, Service("voxline.v1.ModelService", register)], settings, registry)


STAGES: dict[str, Callable[[Any], CodecStage]] = {"tokenizer": tokenizer_stage, "detokenizer": detokenizer_stage}
SETTINGS: dict[str, type[CodecSettings]] = {"tokenizer": TokenizerSettings, "detokenizer": DetokenizerSettings}
