"""RIFF WAVE, 16-bit mono: a 44-byte header, then what `pcm` has."""

import struct
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from services.gateway.audio.encoders.pcm import PcmEncoder

# What FFmpeg writes into a pipe, and what readers take as "until the end".
_UNKNOWN = 0xFFFFFFFF
_BYTES_PER_SAMPLE = 2


class WavEncoder:
    """A streamed file begins with a header whose sizes say "unknown"; the head of a whole file has the true ones."""

    media_type: ClassVar[str] = "audio/wav"

    def __init__(self, source_rate: int, target_rate: int, *, whole: bool = False) -> None:
        self._pcm = PcmEncoder(source_rate, target_rate)
        self._rate = target_rate
        self._unsent = b"" if whole else _header(target_rate, _UNKNOWN, _UNKNOWN)

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        return self._after_header(self._pcm.encode(samples))

    def flush(self) -> bytes:
        return self._after_header(self._pcm.flush())

    def head(self, size: int) -> bytes:
        return _header(self._rate, 36 + size, size)

    def _after_header(self, data: bytes) -> bytes:
        data, self._unsent = self._unsent + data, b""
        return data


def _header(rate: int, riff_size: int, data_size: int) -> bytes:
    """The sizes count the bytes that follow each of them."""
    channels, format_size, pcm = 1, 16, 1
    layout = struct.pack(
        "<IHHIIHH", format_size, pcm, channels, rate, rate * _BYTES_PER_SAMPLE, _BYTES_PER_SAMPLE, 8 * _BYTES_PER_SAMPLE
    )
    return b"RIFF" + struct.pack("<I", riff_size) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", data_size)
