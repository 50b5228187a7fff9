"""voxline.v1 messages <-> values. Fields are named in errors as in GenerateRequest."""

import math
from collections.abc import Iterable

from services.llm.events import CodesDrawn, Event, Finished, FinishReason, SpeakerNamed
from services.llm.families.family import Capability, Description, Limits
from services.llm.pace import Pace
from services.llm.sampling import ResolvedSampling, fresh_seed
from services.llm.voices import ClonedVoice, ContinuedVoice, Design, DesignedVoice, Gender, Level, Speaker, Voice
from services.runtime.errors import InvalidRequest
from voxline.v1 import llm_pb2, model_pb2, sampling_pb2, tokens_pb2

_GENDERS = {model_pb2.GENDER_FEMALE: Gender.FEMALE, model_pb2.GENDER_MALE: Gender.MALE}
_LEVELS = {
    model_pb2.LEVEL_UNSPECIFIED: Level.MODERATE,
    model_pb2.LEVEL_VERY_LOW: Level.VERY_LOW,
    model_pb2.LEVEL_LOW: Level.LOW,
    model_pb2.LEVEL_MODERATE: Level.MODERATE,
    model_pb2.LEVEL_HIGH: Level.HIGH,
    model_pb2.LEVEL_VERY_HIGH: Level.VERY_HIGH,
}
_GENDER_NUMBERS = {gender: number for number, gender in _GENDERS.items()}
_LEVEL_NUMBERS = {level: number for number, level in _LEVELS.items()}
_REASONS = {FinishReason.STOP: llm_pb2.FINISH_REASON_STOP, FinishReason.LENGTH: llm_pb2.FINISH_REASON_LENGTH}
_CAPABILITIES = {
    Capability.CLONE: model_pb2.CAPABILITY_CLONE,
    Capability.CLONE_WITH_TRANSCRIPT: model_pb2.CAPABILITY_CLONE_WITH_TRANSCRIPT,
    Capability.DESIGN: model_pb2.CAPABILITY_DESIGN,
}


def voice_of(request: llm_pb2.GenerateRequest) -> Voice:
    """Raises InvalidRequest for what no model could speak with."""
    match request.WhichOneof("voice"):
        case "clone":
            return _clone(request.clone)
        case "design":
            pinned = request.design.HasField("speaker")
            return DesignedVoice(_design(request.design.design), _speaker(request.design.speaker) if pinned else None)
        case _:
            raise InvalidRequest("A voice is required: clone or design.", field="voice")


def sampling_of(message: sampling_pb2.Sampling, limits: Limits) -> ResolvedSampling:
    """What is absent is filled in from `limits`. `max_tokens` ends at the context of the model.

    Raises InvalidRequest that names the field.
    """
    most = message.max_tokens if message.HasField("max_tokens") else limits.usual_most
    if most < limits.shortest:
        raise InvalidRequest(f"max_tokens must be {limits.shortest} or more here.", field="sampling.max_tokens")
    least = message.min_tokens if message.HasField("min_tokens") else min(limits.usual_least, most)
    chosen = {
        name: getattr(message, name)
        for name in ("temperature", "top_k", "top_p", "repetition_penalty")
        if message.HasField(name)
    }
    return ResolvedSampling(
        max_tokens=min(most, limits.most),
        min_tokens=max(least, limits.shortest),
        seed=message.seed if message.HasField("seed") else fresh_seed(),
        **chosen,
    )


def pace_of(request: llm_pb2.GenerateRequest) -> Pace | None:
    """Raises InvalidRequest."""
    if not request.HasField("pace"):
        return None
    if not 0 < request.pace.codes_per_second < math.inf:
        raise InvalidRequest("codes_per_second must be above 0.", field="pace.codes_per_second")
    return Pace(request.pace.first_codes, request.pace.codes_per_second)


def response_of(events: Iterable[Event]) -> llm_pb2.GenerateResponse:
    response = llm_pb2.GenerateResponse()
    for event in events:
        match event:
            case SpeakerNamed(speaker):
                response.speaker.global_tokens.extend(speaker.global_tokens)
                response.speaker.style_tokens.extend(speaker.style_tokens)
            case CodesDrawn(codes):
                response.codes.values.extend(codes)
            case Finished():
                response.finish.reason = _REASONS[event.reason]
                response.finish.prompt_tokens = event.prompt_tokens
                response.finish.completion_tokens = event.completion_tokens
                response.finish.seed = event.seed
    return response


def model_of(description: Description, name: str, engine: str) -> model_pb2.Model:
    return model_pb2.Model(
        id=name,
        family=description.family,
        engine=engine,
        codebooks=1,
        codebook_size=description.codebook_size,
        global_token_count=description.global_token_count,
        global_codebook_size=description.global_codebook_size,
        capabilities=[_CAPABILITIES[capability] for capability in description.capabilities],
        built_in_voices=[_built_in(design) for design in description.voices],
        default_voice=description.default_voice,
        max_segment_characters=description.max_segment_characters,
    )


def _clone(message: llm_pb2.ClonedVoice) -> Voice:
    speaker = _speaker(message.speaker)
    if not message.HasField("reference"):
        return ClonedVoice(speaker)
    return ContinuedVoice(speaker, tuple(message.reference.codes.values), message.reference.transcript)


def _speaker(message: tokens_pb2.Speaker) -> Speaker:
    return Speaker(tuple(message.global_tokens), tuple(message.style_tokens))


def _design(message: model_pb2.DesignedVoice) -> Design:
    if message.gender not in _GENDERS:
        raise InvalidRequest("A designed voice has a gender.", field="design.design.gender")
    for field, level in (("pitch", message.pitch), ("speed", message.speed)):
        if level not in _LEVELS:
            raise InvalidRequest(f"{level} is no level.", field=f"design.design.{field}")
    return Design(_GENDERS[message.gender], _LEVELS[message.pitch], _LEVELS[message.speed])


def _built_in(design: Design) -> model_pb2.BuiltInVoice:
    message = model_pb2.DesignedVoice(
        gender=_GENDER_NUMBERS[design.gender],
        pitch=_LEVEL_NUMBERS[design.pitch],
        speed=_LEVEL_NUMBERS[design.speed],
    )
    return model_pb2.BuiltInVoice(id=design.name, display_name=design.display_name, design=message)
