"""How a caller wants tokens to be drawn. The public API and the stages share the message."""

from dataclasses import dataclass

from services.runtime.errors import InvalidRequest
from voxline.v1 import sampling_pb2

# Seeds lie below this: what a signed 64-bit integer holds.
SEEDS = 2**63


@dataclass(frozen=True)
class Sampling:
    """None takes the model's default. The LLM stage checks the ranges and names the field; a seed is checked here,
    because the segments of a reply count on from it.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None and not 0 <= self.seed < SEEDS:
            raise InvalidRequest(f"seed is {self.seed}; it must lie between 0 and 2^63 - 1.", field="sampling.seed")

    def to_proto(self) -> sampling_pb2.Sampling:
        """Raises InvalidRequest for a value that does not even fit the wire."""
        message = sampling_pb2.Sampling()
        for name, value in vars(self).items():
            try:
                if value is not None:
                    setattr(message, name, value)
            except ValueError as exc:
                raise InvalidRequest(f"{name} is {value}, which is out of range.", field=f"sampling.{name}") from exc
        return message

    @classmethod
    def from_proto(cls, message: sampling_pb2.Sampling) -> "Sampling":
        return cls(**{field.name: value for field, value in message.ListFields()})
