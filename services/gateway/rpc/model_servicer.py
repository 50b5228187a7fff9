"""voxline.v1.ModelService of the gateway: what its stages serve together."""

from services.contract.model import Capability
from services.gateway.stages import Stages
from voxline.v1 import model_pb2, model_pb2_grpc

_CAPABILITIES = {
    Capability.CLONE: model_pb2.CAPABILITY_CLONE,
    Capability.CLONE_WITH_TRANSCRIPT: model_pb2.CAPABILITY_CLONE_WITH_TRANSCRIPT,
    Capability.DESIGN: model_pb2.CAPABILITY_DESIGN,
}


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    async def GetModel(  # noqa: N802
        self, request: model_pb2.GetModelRequest, context: object
    ) -> model_pb2.Model:
        model = self._stages.model()
        return model_pb2.Model(
            id=model.id,
            family=model.family,
            revision=model.revision.digest,
            sample_rate_hertz=model.sample_rate,
            capabilities=sorted(_CAPABILITIES[capability] for capability in model.llm.capabilities),
            default_voice=model.llm.default_voice,
            max_reference_seconds=model.tokenizer.max_reference_seconds,
            languages=model.llm.languages,
        )
