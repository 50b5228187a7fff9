"""ModelService of the codec stages."""

from services.codec.codec import Codec
from voxline.v1 import model_pb2, model_pb2_grpc


def describe(codec: Codec, model_id: str, family: str) -> model_pb2.Model:
    """What both halves have in common."""
    return model_pb2.Model(
        id=model_id,
        family=family,
        engine="torch",
        sample_rate_hertz=codec.sample_rate,
        frame_rate_hertz=codec.frame_rate,
        codebooks=1,
        codebook_size=codec.codebook_size,
        global_token_count=codec.global_token_count,
        global_codebook_size=codec.global_codebook_size,
    )


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, model: model_pb2.Model) -> None:
        self._model = model

    async def GetModel(  # noqa: N802
        self, request: model_pb2.GetModelRequest, context: object
    ) -> model_pb2.Model:
        return self._model
