"""Designed voices. The public API and the stages share their messages."""

from dataclasses import dataclass
from enum import Enum

from services.runtime.errors import InvalidRequest
from voxline.v1 import design_pb2


class Gender(Enum):
    FEMALE = "female"
    MALE = "male"


class Level(Enum):
    VERY_LOW = "very_low"
    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    VERY_HIGH = "very_high"


_GENDERS = {design_pb2.GENDER_FEMALE: Gender.FEMALE, design_pb2.GENDER_MALE: Gender.MALE}
_LEVELS = {
    design_pb2.LEVEL_UNSPECIFIED: Level.MODERATE,
    design_pb2.LEVEL_VERY_LOW: Level.VERY_LOW,
    design_pb2.LEVEL_LOW: Level.LOW,
    design_pb2.LEVEL_MODERATE: Level.MODERATE,
    design_pb2.LEVEL_HIGH: Level.HIGH,
    design_pb2.LEVEL_VERY_HIGH: Level.VERY_HIGH,
}
_GENDER_NUMBERS = {gender: number for number, gender in _GENDERS.items()}
_LEVEL_NUMBERS = {level: number for number, level in _LEVELS.items()}


@dataclass(frozen=True)
class DesignedVoice:
    gender: Gender
    pitch: Level = Level.MODERATE
    speed: Level = Level.MODERATE

    @property
    def id(self) -> str:
        """gender-pitch-speed; the gender alone where both levels are moderate."""
        if self.pitch is self.speed is Level.MODERATE:
            return self.gender.value
        return f"{self.gender.value}-{self.pitch.value}-{self.speed.value}".replace("_", "-")

    @property
    def display_name(self) -> str:
        words = f"{self.gender.value}, {self.pitch.value} pitch, {self.speed.value} speed"
        return words.replace("_", " ").capitalize()

    def to_proto(self) -> design_pb2.DesignedVoice:
        return design_pb2.DesignedVoice(
            gender=_GENDER_NUMBERS[self.gender],
            pitch=_LEVEL_NUMBERS[self.pitch],
            speed=_LEVEL_NUMBERS[self.speed],
        )

    @classmethod
    def from_proto(cls, message: design_pb2.DesignedVoice, field: str = "design") -> "DesignedVoice":
        """`field`: what errors call the message. Raises InvalidRequest for a gender that is missing and for values that
        this version does not know.
        """
        if message.gender not in _GENDERS:
            raise InvalidRequest("A designed voice needs a gender, female or male.", field=f"{field}.gender")
        for name, level in (("pitch", message.pitch), ("speed", message.speed)):
            if level not in _LEVELS:
                raise InvalidRequest(
                    f"{level} is no level of {name}; there are 1 (very low) to 5 (very high).", field=f"{field}.{name}"
                )
        return cls(_GENDERS[message.gender], _LEVELS[message.pitch], _LEVELS[message.speed])
