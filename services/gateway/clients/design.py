"""Designed voices on the wire, for the stages and for the public API alike."""

from collections.abc import Mapping

from services.gateway.request import DesignedVoice, Gender, Level
from services.runtime.errors import InvalidRequest
from voxline.v1 import model_pb2

_GENDERS: Mapping[Gender, "model_pb2.Gender.ValueType"] = {
    Gender.FEMALE: model_pb2.GENDER_FEMALE,
    Gender.MALE: model_pb2.GENDER_MALE,
}
_LEVELS: Mapping[Level, "model_pb2.Level.ValueType"] = {
    Level.VERY_LOW: model_pb2.LEVEL_VERY_LOW,
    Level.LOW: model_pb2.LEVEL_LOW,
    Level.MODERATE: model_pb2.LEVEL_MODERATE,
    Level.HIGH: model_pb2.LEVEL_HIGH,
    Level.VERY_HIGH: model_pb2.LEVEL_VERY_HIGH,
}
_GENDERS_BACK = {value: gender for gender, value in _GENDERS.items()}
_LEVELS_BACK = {value: level for level, value in _LEVELS.items()} | {model_pb2.LEVEL_UNSPECIFIED: Level.MODERATE}


def design_to_proto(design: DesignedVoice) -> model_pb2.DesignedVoice:
    return model_pb2.DesignedVoice(
        gender=_GENDERS[design.gender], pitch=_LEVELS[design.pitch], speed=_LEVELS[design.speed]
    )


def design_from_proto(message: model_pb2.DesignedVoice) -> DesignedVoice:
    """Raises InvalidRequest for a gender that is missing and for values that this version does not know."""
    if message.gender not in _GENDERS_BACK:
        raise InvalidRequest("A designed voice needs a gender, female or male.", field="voice.design.gender")
    return DesignedVoice(_GENDERS_BACK[message.gender], _level(message.pitch, "pitch"), _level(message.speed, "speed"))


def _level(value: "model_pb2.Level.ValueType", name: str) -> Level:
    if value not in _LEVELS_BACK:
        raise InvalidRequest(f"{value} is no level of {name}.", field=f"voice.design.{name}")
    return _LEVELS_BACK[value]
