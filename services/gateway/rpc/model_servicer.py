"""voxline.v1.ModelService of the gateway: what its stages serve together."""

from services.gateway.clients.design import design_to_proto
from services.gateway.stages import Stages
from voxline.v1 import model_pb2, model_pb2_grpc


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    async def GetModel(  # noqa: N802
        self, request: model_pb2.GetModelRequest, context: object
    ) -> model_pb2.Model:
        model = self._stages.model()
        built_in = (
            model_pb2.BuiltInVoice(id=voice.id, display_name=voice.display_name, design=design_to_proto(voice.design))
            for voice in model.llm.built_in_voices
            if voice.design is not None
        )
        return model_pb2.Model(
            id=model.id,
            family=model.llm.family,
            engine=model.llm.engine,
            sample_rate_hertz=model.sample_rate,
            frame_rate_hertz=model.detokenizer.frame_rate,
            codebooks=model.detokenizer.codebooks,
            codebook_size=model.detokenizer.codebook_size,
            global_token_count=model.detokenizer.global_token_count,
            global_codebook_size=model.detokenizer.global_codebook_size,
            receptive_field_frames=model.detokenizer.receptive_field_frames,
            capabilities=sorted(capability.value for capability in model.llm.capabilities),
            built_in_voices=built_in,
            default_voice=model.llm.default_voice,
            max_segment_characters=model.llm.max_segment_characters,
            max_reference_seconds=model.tokenizer.max_reference_seconds,
        )
