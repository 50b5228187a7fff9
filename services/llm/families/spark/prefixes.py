"""What was drawn before <-> the frames of it, and the tokens that carry none."""

from collections.abc import Sequence
from itertools import pairwise

from google.protobuf.message import DecodeError

from services.contract.frames import FrameFormat
from services.contract.generation import Prefix
from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import spark_pb2


class Skipped:
    """The tokens of one generation that carry no frame, and their places among all that were drawn."""

    def __init__(self) -> None:
        self._places: list[int] = []
        self._tokens: list[int] = []
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._places)

    def count(self, token: int, skipped: bool) -> None:
        """The next that was drawn."""
        if skipped:
            self._places.append(self._drawn)
            self._tokens.append(token)
        self._drawn += 1

    def to_bytes(self) -> bytes:
        message = spark_pb2.SparkResume(places=self._places, tokens=self._tokens)
        return message.SerializeToString(deterministic=True)


class SparkPrefixes:
    """`semantic`: ids by code; `others`: ids that carry no frame and may be drawn, with `stop_ids`, which end it."""

    def __init__(
        self, frames: FrameFormat, semantic: Sequence[int], others: frozenset[int], stop_ids: frozenset[int]
    ) -> None:
        self._format = frames
        self._semantic = semantic
        self._others = others
        self._stop_ids = stop_ids

    def drawn(self, prefix: Prefix) -> tuple[int, ...]:
        """Raises InvalidRequest that names `prefix.frames` or `prefix.resume`."""
        self._format.check(prefix.frames, "prefix.frames")
        others = self._skipped(prefix.resume)
        count = len(prefix.frames) + len(others)
        _require(max(others, default=-1) < count, "It holds a token beyond the frames.")
        codes = iter(prefix.frames.codes)
        drawn = tuple(others[place] if place in others else self._semantic[next(codes)] for place in range(count))
        _require(not self._stop_ids.intersection(drawn[:-1]), "It goes on after its end.")
        return drawn

    def _skipped(self, resume: bytes) -> dict[int, int]:
        """Place -> id."""
        try:
            message = spark_pb2.SparkResume.FromString(resume)
        except DecodeError as exc:
            raise InvalidRequest("It is nothing that this model sent.", field="prefix.resume") from exc
        _require(len(message.places) == len(message.tokens), "A token lacks its place.")
        _require(all(one < other for one, other in pairwise(message.places)), "Its places do not ascend.")
        _require(self._others.issuperset(message.tokens), "It holds a token that is no such.")
        return dict(zip(message.places, message.tokens, strict=True))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidRequest(otherwise, field="prefix.resume")
