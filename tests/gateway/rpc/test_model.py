"""ModelService: what is served here."""

from voxline.v1 import model_pb2, model_pb2_grpc


async def test_gateway_says_what_its_stages_serve_together(channel, doubles):
    answer = await model_pb2_grpc.ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest())
    assert answer == doubles.llm.model
