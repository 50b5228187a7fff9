"""What every stage serves beside its own service."""

import grpc

from services.contract.model import ServedModel
from services.runtime.server import Service
from voxline.stages.v1 import model_pb2, model_pb2_grpc


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, model: ServedModel) -> None:
        self._model = model.to_proto()

    async def GetModel(self, request: model_pb2.GetModelRequest, context: object) -> model_pb2.Model:  # noqa: N802
        return self._model


def model_service(model: ServedModel) -> Service:
    def register(server: grpc.aio.Server) -> None:
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(model), server)

    return Service("voxline.stages.v1.ModelService", register)
