"""What a stage says about its model. It knows no family: whatever differs between models comes from here."""

from dataclasses import dataclass
from enum import Enum

from services.gateway.clients.design import design_from_proto
from services.gateway.tokens import Pace
from services.gateway.voices.voice import VoiceResource
from voxline.v1 import model_pb2


class Capability(Enum):
    CLONE = model_pb2.CAPABILITY_CLONE
    CLONE_WITH_TRANSCRIPT = model_pb2.CAPABILITY_CLONE_WITH_TRANSCRIPT
    DESIGN = model_pb2.CAPABILITY_DESIGN


@dataclass(frozen=True)
class StageModel:
    """Fields that do not concern the stage are zero or empty, as in voxline.v1.Model, which explains them."""

    id: str
    family: str
    engine: str
    sample_rate: int
    frame_rate: float
    codebooks: int
    codebook_size: int
    global_token_count: int
    global_codebook_size: int
    receptive_field_frames: int
    capabilities: frozenset[Capability]
    built_in_voices: tuple[VoiceResource, ...]
    default_voice: str
    max_segment_characters: int
    max_reference_seconds: float
    first_audio_frames: int
    usual_look_ahead_frames: int

    def look_ahead(self, wanted: int | None) -> int:
        """Frames that a detokenizer looks ahead. None is what it says is enough, below zero as far as it can."""
        full = self.receptive_field_frames
        frames = self.usual_look_ahead_frames or full if wanted is None else wanted
        return full if frames < 0 else min(frames, full)

    def pace(self, look_ahead_frames: int) -> Pace:
        """Of a detokenizer that looks ahead so far."""
        frames = self.first_audio_frames + look_ahead_frames
        codebooks = max(1, self.codebooks)
        return Pace(frames * codebooks, self.frame_rate * codebooks)


def model_from_proto(message: model_pb2.Model) -> StageModel:
    known = {capability.value: capability for capability in Capability}
    return StageModel(
        id=message.id,
        family=message.family,
        engine=message.engine,
        sample_rate=message.sample_rate_hertz,
        frame_rate=message.frame_rate_hertz,
        codebooks=message.codebooks,
        codebook_size=message.codebook_size,
        global_token_count=message.global_token_count,
        global_codebook_size=message.global_codebook_size,
        receptive_field_frames=message.receptive_field_frames,
        capabilities=frozenset(known[value] for value in message.capabilities if value in known),
        built_in_voices=tuple(_built_in(voice) for voice in message.built_in_voices),
        default_voice=message.default_voice,
        max_segment_characters=message.max_segment_characters,
        max_reference_seconds=message.max_reference_seconds,
        first_audio_frames=message.first_audio_frames,
        usual_look_ahead_frames=message.usual_look_ahead_frames,
    )


def _built_in(message: model_pb2.BuiltInVoice) -> VoiceResource:
    return VoiceResource(
        message.id, message.display_name or message.id, design=design_from_proto(message.design), built_in=True
    )
