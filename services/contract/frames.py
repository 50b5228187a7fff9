"""Frames of speech: what an LLM draws and a detokenizer reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import frames_pb2

_CODES, _LATENTS = np.dtype(np.uint32), np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class Frames:
    """Consecutive frames. `first`: number of the first in its stream; values [n, K] uint32 codes or [n, D] float32
    latents, never changed.
    """

    first: int
    values: NDArray[Any]

    def __post_init__(self) -> None:
        assert self.first >= 0
        assert self.values.ndim == 2
        assert self.values.dtype in (_CODES, _LATENTS)

    @classmethod
    def of_codes(cls, codes: Sequence[int], codebooks: int = 1, first: int = 0) -> "Frames":
        """codes: [n x codebooks], row by row."""
        return cls(first, np.array(codes, _CODES).reshape(-1, codebooks))

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frames):
            return NotImplemented
        return (
            self.first == other.first
            and self.values.dtype == other.values.dtype
            and np.array_equal(self.values, other.values)
        )

    @property
    def end(self) -> int:
        """Number of the frame that follows."""
        return self.first + len(self)

    @property
    def codes(self) -> list[int]:
        """[n x codebooks], row by row."""
        assert self.values.dtype == _CODES
        codes: list[int] = self.values.ravel().tolist()
        return codes

    def since(self, first: int) -> "Frames":
        """Those from frame `first` on."""
        skipped = min(max(0, first - self.first), len(self))
        return Frames(self.first + skipped, self.values[skipped:]) if skipped else self

    def to_proto(self) -> frames_pb2.Frames:
        message = frames_pb2.Frames(first_frame=self.first, width=self.values.shape[1])
        if self.values.dtype == _CODES:
            message.codes.values.extend(self.codes)
            message.codes.SetInParent()
        else:
            message.latents.values = self.values.tobytes()
        return message

    @classmethod
    def from_proto(cls, message: frames_pb2.Frames, field: str = "frames") -> "Frames":
        """`field`: what errors call the message. Raises InvalidRequest for what is no whole number of frames."""
        values: NDArray[Any]
        match message.WhichOneof("values"):
            case "codes":
                values = np.array(message.codes.values, _CODES)
            case "latents" if len(message.latents.values) % _LATENTS.itemsize == 0:
                values = np.frombuffer(message.latents.values, _LATENTS)
            case _:
                raise InvalidRequest("Frames hold codes, or latents as float32.", field=field)
        if not message.width or len(values) % message.width:
            raise InvalidRequest(f"{len(values)} values are no frames of {message.width}.", field=field)
        return cls(message.first_frame, values.reshape(-1, message.width))


def joined(parts: Iterable[Frames]) -> Frames:
    """Of frames that follow each other without a gap; at least one part."""
    first, *rest = parts
    return Frames(first.first, np.concatenate([first.values, *(part.values for part in rest)])) if rest else first


@dataclass(frozen=True)
class CodeFormat:
    """Each frame holds one index into each of `codebooks` codebooks of `codebook_size` rows."""

    codebooks: int
    codebook_size: int

    def __post_init__(self) -> None:
        assert self.codebooks >= 1
        assert self.codebook_size >= 1

    @property
    def width(self) -> int:
        return self.codebooks

    @property
    def dtype(self) -> np.dtype[Any]:
        return _CODES

    def __str__(self) -> str:
        return f"{self.codebooks} x {self.codebook_size} codes"

    def check(self, values: NDArray[Any], field: str) -> None:
        if values.dtype != _CODES:
            raise InvalidRequest("This model's frames hold codes.", field=field)
        if values.size and int(values.max()) >= self.codebook_size:
            raise InvalidRequest(f"Code {int(values.max())} is not in [0, {self.codebook_size}).", field=field)


@dataclass(frozen=True)
class LatentFormat:
    """Each frame holds a vector of `width` numbers."""

    width: int

    def __post_init__(self) -> None:
        assert self.width >= 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return _LATENTS

    def __str__(self) -> str:
        return f"{self.width} latents"

    def check(self, values: NDArray[Any], field: str) -> None:
        if values.dtype != _LATENTS:
            raise InvalidRequest("This model's frames hold latents.", field=field)
        if not np.isfinite(values).all():
            raise InvalidRequest("A latent is no finite number.", field=field)


@dataclass(frozen=True)
class FrameFormat:
    """What the frames of a model are. `frame_rate`: Hz."""

    frame_rate: float
    kind: CodeFormat | LatentFormat

    def check(self, frames: Frames, field: str = "frames") -> None:
        """Raises InvalidRequest for frames of another format."""
        width = frames.values.shape[1]
        if width != self.kind.width:
            raise InvalidRequest(f"A frame has {self.kind.width} values, not {width}.", field=field)
        self.kind.check(frames.values, field)

    def zeros(self, count: int) -> Frames:
        """The first of a stream."""
        return Frames(0, np.zeros((count, self.kind.width), self.kind.dtype))

    def to_proto(self) -> frames_pb2.FrameFormat:
        match self.kind:
            case CodeFormat(codebooks, codebook_size):
                codes = frames_pb2.CodeFormat(codebooks=codebooks, codebook_size=codebook_size)
                return frames_pb2.FrameFormat(frame_rate_hertz=self.frame_rate, codes=codes)
            case LatentFormat(width):
                latents = frames_pb2.LatentFormat(width=width)
                return frames_pb2.FrameFormat(frame_rate_hertz=self.frame_rate, latents=latents)

    @classmethod
    def from_proto(cls, message: frames_pb2.FrameFormat) -> "FrameFormat":
        if message.HasField("latents"):
            return cls(message.frame_rate_hertz, LatentFormat(message.latents.width))
        return cls(message.frame_rate_hertz, CodeFormat(message.codes.codebooks, message.codes.codebook_size))
