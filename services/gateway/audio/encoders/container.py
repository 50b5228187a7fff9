"""Encodes any format that libav encodes and muxes; it knows no format by name."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from services.gateway.audio import libav
from services.gateway.audio.encoders.pcm import to_int16
from services.gateway.audio.resampler import Resampler
from services.runtime.errors import InvalidRequest


@dataclass(frozen=True)
class Codec:
    """`container` and `name` as libav calls them; `rates` in Hz, empty for any; `bit_rate` in bits a second.
    `streamed_options` are those of a container that is sent as it is made.
    """

    container: str
    name: str
    sample_format: str
    rates: frozenset[int] = frozenset()
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)
    streamed_options: Mapping[str, str] = field(default_factory=dict)


class ContainerEncoder:
    """One mono stream in one container; a subclass says which `codec`. The two verbs are those of `Encoder`.

    Every packet is given as soon as it is made. A container without a packet is no valid file, so a reply without
    samples gets one silent sample.
    """

    codec: ClassVar[Codec]

    def __init__(self, source_rate: int, target_rate: int, *, whole: bool = False) -> None:
        if self.codec.rates and target_rate not in self.codec.rates:
            rates = ", ".join(str(rate) for rate in sorted(self.codec.rates))
            raise InvalidRequest(f"{target_rate} Hz does not fit this format; {rates} do.", field="sample_rate")
        libav.single_threaded()
        self._resampler = Resampler(source_rate, target_rate)
        self._whole = whole
        self._sink = io.BytesIO() if whole else _Pipe()
        streamed = {} if whole else self.codec.streamed_options
        options = {"flush_packets": "1", **self.codec.container_options, **streamed}
        self._container = av.open(self._sink, "w", format=self.codec.container, options=options)
        self._stream = self._add_stream(target_rate)
        self._container.start_encoding()
        self._written_samples = 0
        self._flushed = False

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        self._write(self._resampler.resample(samples))
        return b"" if self._whole else self._taken()

    def flush(self) -> bytes:
        if self._flushed:
            return b""
        self._flushed = True
        self._write(self._resampler.flush())
        if not self._written_samples:
            self._write(np.zeros(1, np.float32))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._taken()

    def head(self, size: int) -> bytes:
        """libav writes its own."""
        return b""

    def _add_stream(self, rate: int) -> AudioStream:
        stream = self._container.add_stream(self.codec.name, rate=rate, options=dict(self.codec.options))
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "mono"
        stream.codec_context.format = self.codec.sample_format
        if self.codec.bit_rate is not None:
            stream.codec_context.bit_rate = self.codec.bit_rate
        return stream

    def _write(self, samples: NDArray[np.float32]) -> None:
        if not len(samples):
            return
        self._container.mux(self._stream.encode(self._frame(samples)))
        self._written_samples += len(samples)

    def _frame(self, samples: NDArray[np.float32]) -> av.AudioFrame:
        planes = to_int16(samples) if self.codec.sample_format == "s16" else np.clip(samples, -1.0, 1.0)
        frame = av.AudioFrame.from_ndarray(planes[None], format=self.codec.sample_format, layout="mono")
        frame.sample_rate = self._stream.codec_context.sample_rate
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = self._written_samples
        return frame

    def _taken(self) -> bytes:
        data = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return data


class _Pipe(io.BytesIO):
    """Tells libav that it cannot go back and patch its headers, because what was written has been sent already."""

    def seekable(self) -> bool:
        return False
