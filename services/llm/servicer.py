"""gRPC side of the LLM stage. Whatever it raises, the server's interceptor turns into a status."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.llm.language_model import LanguageModel
from services.llm.wire import pace_of, response_of, sampling_of, voice_of
from voxline.v1 import llm_pb2, llm_pb2_grpc, model_pb2, model_pb2_grpc


class LlmServicer(llm_pb2_grpc.LlmServiceServicer):
    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    async def Generate(  # noqa: N802
        self, request: llm_pb2.GenerateRequest, context: object
    ) -> AsyncGenerator[llm_pb2.GenerateResponse, None]:
        prompt = self._model.family.prompt(request.text, voice_of(request))
        sampling = sampling_of(request.sampling, prompt.limits)
        async with aclosing(self._model.generate(prompt, sampling, pace_of(request))) as generation:
            async for events in generation:
                yield response_of(events)


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, model: model_pb2.Model) -> None:
        self._model = model

    async def GetModel(self, request: model_pb2.GetModelRequest, context: object) -> model_pb2.Model:  # noqa: N802
        return self._model
