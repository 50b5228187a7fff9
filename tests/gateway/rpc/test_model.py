"""ModelService: what is served here."""

from voxline.v1 import model_pb2, model_pb2_grpc

from ..conftest import REVISION


async def test_gateway_says_what_its_stages_serve_together(channel):
    answer = await model_pb2_grpc.ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest())
    assert answer == model_pb2.Model(
        id="double",
        family="double",
        revision=REVISION.digest,
        sample_rate_hertz=16000,
        capabilities=[
            model_pb2.CAPABILITY_CLONE,
            model_pb2.CAPABILITY_CLONE_WITH_TRANSCRIPT,
            model_pb2.CAPABILITY_DESIGN,
        ],
        default_voice="female",
        max_reference_seconds=30.0,
    )
