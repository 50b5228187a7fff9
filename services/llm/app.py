"""Composes the LLM stage: family, engine, and the gRPC services on them."""

from dataclasses import dataclass

import grpc
from prometheus_client import CollectorRegistry

from services.llm.checkpoint import load_config
from services.llm.engines import default_engine, default_precision, engine_loader
from services.llm.engines.engine import Engine, EngineOptions
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.llm.qwen2_tensors import check_tensors
from services.llm.servicer import LlmServicer, ModelServicer
from services.llm.settings import LlmSettings
from services.llm.weights import Weights
from services.llm.wire import model_of
from services.runtime.server import Service, StageServer
from voxline.v1 import llm_pb2_grpc, model_pb2, model_pb2_grpc


@dataclass(frozen=True)
class LlmStage:
    """`server` has not been started; `engine.failed` says when the process should end."""

    server: StageServer
    engine: Engine


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
    return compose(family, await engine_loader(name).load(model, options), name, settings)


def compose(family: Family, engine: Engine, engine_name: str, settings: LlmSettings) -> LlmStage:
    registry = CollectorRegistry()
    language_model = LanguageModel(family, engine, LlmMetrics(registry, engine), settings.max_waiting)
    description = model_of(family.description, settings.model.resolve().name, engine_name)
    services = [_llm_service(language_model), _model_service(description)]
    return LlmStage(StageServer(services, settings, registry), engine)


def _llm_service(model: LanguageModel) -> Service:
    def register(server: grpc.aio.Server) -> None:
        llm_pb2_grpc.add_LlmServiceServicer_to_server(LlmServicer(model), server)

    return Service("voxline.v1.LlmService", register)


def _model_service(model: model_pb2.Model) -> Service:
    def register(server: grpc.aio.Server) -> None:
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(model), server)

    return Service("voxline.v1.ModelService", register)
