"""The seam between the pipeline and a format."""

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """One reply in one format: the bytes of `encode` and of the one `flush` at the end, joined, are one valid file.

    A streamed reply is given as it is made. A `whole` one begins with its `head`, which states the true length (wav),
    or is held back until `flush` (flac). A second `flush` gives nothing; `encode` after it is a ValueError.
    """

    media_type: ClassVar[str]

    def __init__(self, source_rate: int, target_rate: int, *, whole: bool = False) -> None:
        """source_rate: of the samples, target_rate: of the file, in Hz. InvalidRequest: the format has no such rate."""

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """[T] in [-1, 1] at the source rate; beyond is clipped. May give nothing yet."""

    def flush(self) -> bytes:
        """The rest of the file."""

    def head(self, size: int) -> bytes:
        """What a whole file begins with, once it is known that `encode` and `flush` gave `size` bytes."""
