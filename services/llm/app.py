"""Composes the LLM stage: family, engine, and the gRPC services on them."""

import asyncio
from dataclasses import dataclass, replace

import grpc
from prometheus_client import CollectorRegistry

from services.contract.model import Revision, ServedModel
from services.contract.model_servicer import model_service
from services.contract.speaker import SpeakerStore
from services.llm.checkpoint import load_config
from services.llm.engines import default_engine, default_precision, engine_loader
from services.llm.engines.engine import Engine, EngineOptions
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.llm.qwen2_tensors import check_tensors
from services.llm.servicer import LlmServicer
from services.llm.settings import LlmSettings
from services.llm.weights import Weights
from services.runtime.server import Service, StageServer
from services.runtime.watchdog import Watchdog
from voxline.stages.v1 import llm_pb2_grpc


@dataclass(frozen=True)
class LlmStage:
    """`server` has not been started; `engine.failed` and `watchdog.failed` say when the process should end."""

    server: StageServer
    engine: Engine
    watchdog: Watchdog


async def load_stage(settings: LlmSettings) -> LlmStage:
    """Raises UnusableCheckpoint, or ValueError for settings that the engine cannot follow."""
    family = load_family(settings.family, settings.model)
    directory = family.engine_model.directory
    check_tensors(Weights(directory), load_config(directory))
    model, cache = family.engine_model, settings.cache_dir.expanduser()
    name = default_engine(model, cache) if settings.engine == "auto" else settings.engine
    options = EngineOptions(
        precision=default_precision(name) if settings.precision == "auto" else settings.precision,
        threads=settings.threads,
        max_batch=settings.max_batch,
        cache_directory=cache,
    )
    engine, revision = await asyncio.gather(
        engine_loader(name).load(model, options), asyncio.to_thread(family.revision, cache)
    )
    return compose(family, engine, served_model(family, revision, name, settings), settings)


def served_model(family: Family, revision: Revision, engine: str, settings: LlmSettings) -> ServedModel:
    return ServedModel(
        id=settings.model.resolve().name,
        family=settings.family,
        revision=revision,
        frames=family.frames,
        llm=replace(family.description, engine=engine),
    )


def compose(family: Family, engine: Engine, served: ServedModel, settings: LlmSettings) -> LlmStage:
    registry = CollectorRegistry()
    watchdog = Watchdog(settings.stall_seconds)
    model = LanguageModel(family, engine, LlmMetrics(registry, engine), settings.max_waiting, watchdog)
    services = [_llm_service(LlmServicer(model, served.revision, SpeakerStore())), model_service(served)]
    return LlmStage(StageServer(services, settings, registry), engine, watchdog)


def _llm_service(servicer: LlmServicer) -> Service:
    def register(server: grpc.aio.Server) -> None:
        llm_pb2_grpc.add_LlmServiceServicer_to_server(servicer, server)

    return Service("voxline.stages.v1.LlmService", register)
