"""The routes of models: the served one, and the names of OpenAI's models that stand for it."""

from fastapi import APIRouter
from pydantic import BaseModel

from services.gateway.interface import ModelName
from services.gateway.rest.dependencies import TheGateway
from services.runtime.errors import ModelNotFound
from services.runtime.quoted import quoted

router = APIRouter(tags=["OpenAI"])


class ModelBody(BaseModel):
    """`created` is 0: a checkpoint does not tell its date."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = "voxline"


class ModelList(BaseModel):
    object: str = "list"
    data: list[ModelBody]


class AudioModelList(ModelList):
    """`models` is the field that Open WebUI reads."""

    models: list[ModelBody]


@router.get("/v1", summary="Says what this is")
async def surface() -> dict[str, str]:
    """LiveKit asks for it before its first request, to have a connection open."""
    return {"object": "api", "name": "voxline", "documentation": "/docs"}


@router.get("/v1/models", summary="List models")
async def list_models(gateway: TheGateway) -> ModelList:
    return ModelList(data=_bodies(gateway.models()))


@router.get("/v1/audio/models", summary="List models, for Open WebUI")
async def list_audio_models(gateway: TheGateway) -> AudioModelList:
    models = _bodies(gateway.models())
    return AudioModelList(data=models, models=models)


@router.get("/v1/models/{model_id:path}", summary="Show a model")
async def get_model(model_id: str, gateway: TheGateway) -> ModelBody:
    for model in gateway.models():
        if model.is_named(model_id):
            return ModelBody(id=model.id)
    raise ModelNotFound(f"There is no model {quoted(model_id)} here.", field="model")


def _bodies(models: tuple[ModelName, ...]) -> list[ModelBody]:
    return [ModelBody(id=model.id) for model in models if model.listed]
