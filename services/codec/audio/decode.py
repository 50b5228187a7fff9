"""Audio files to samples: any common container, first channel, native rate. Knows nothing of models.

FFmpeg (through PyAV) reads every container; integer samples are scaled as soundfile scales them, so that WAV and FLAC
give the very float64 values of `soundfile.read`.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from services.runtime.errors import InvalidRequest, TooLarge

FIELD = "audio"
SAMPLE_RATES = range(8_000, 192_001)
# Only containers that hold their own data: playlist demuxers (hls, concat, dash) open other files and addresses.
_DEMUXERS = "wav,w64,rf64,flac,mp3,aac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aiff,caf,amr"
_CONTAINERS = "wav, flac, mp3, m4a, ogg or webm"


@dataclass(frozen=True)
class Recording:
    """samples: [n] float64, mono, nominally in [-1, 1]; sample_rate in Hz; `bits` that hold each sample."""

    samples: NDArray[np.float64]
    sample_rate: int
    bits: int = 32

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float64 or self.samples.ndim != 1:
            raise ValueError(f"a recording is float64 [n], not {self.samples.dtype} {list(self.samples.shape)}")
        if self.sample_rate <= 0:
            raise ValueError(f"sample rate must be positive, not {self.sample_rate}")

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def decode(data: bytes, max_seconds: float) -> Recording:
    """The first channel of the first audio stream; decoding stops as soon as `max_seconds` are passed.

    Raises InvalidRequest when `data` is no readable audio and TooLarge when there is more than `max_seconds` of it.
    """
    try:
        with av.open(io.BytesIO(data), "r", options={"format_whitelist": _DEMUXERS}) as container:
            return _collect(_frames(container), max_seconds)
    except av.FFmpegError as exc:
        raise InvalidRequest(f"the audio is damaged or of no known format ({_CONTAINERS})", field=FIELD) from exc


def _frames(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    if not container.streams.audio:
        raise InvalidRequest("the file holds no audio", field=FIELD)
    stream = container.streams.audio[0]
    # Otherwise FFmpeg decodes damaged FLAC frames to noise and says nothing.
    stream.codec_context.options = {"err_detect": "crccheck+explode"}
    yield from container.decode(stream)


def _collect(frames: Iterator[av.AudioFrame], max_seconds: float) -> Recording:
    pieces: list[NDArray[np.float64]] = []
    rate, count, bits = 0, 0, 16
    for frame in frames:
        rate = rate or _checked_rate(frame.sample_rate)
        if frame.sample_rate != rate:
            raise InvalidRequest("the audio changes its sample rate half-way", field=FIELD)
        pieces.append(_first_channel(frame))
        count += len(pieces[-1])
        bits = max(bits, 8 * frame.format.bytes)
        if count > max_seconds * rate:
            raise TooLarge(f"the audio is longer than {max_seconds:g} s", field=FIELD)
    if not count:
        raise InvalidRequest("the audio is empty", field=FIELD)
    return Recording(np.concatenate(pieces), rate, bits)


def _checked_rate(rate: int) -> int:
    if rate not in SAMPLE_RATES:
        limits = f"{SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz"
        raise InvalidRequest(f"a sample rate of {rate} Hz is outside {limits}", field=FIELD)
    return rate


def _first_channel(frame: av.AudioFrame) -> NDArray[np.float64]:
    """[n] float64; planar frames are [channels, n], packed ones [1, n * channels]."""
    samples = frame.to_ndarray()
    channel = samples[0] if frame.format.is_planar else samples[0, :: frame.layout.nb_channels]
    values = channel.astype(np.float64)
    if channel.dtype == np.uint8:
        return (values - 128) / 128
    if np.issubdtype(channel.dtype, np.integer):
        return values / -float(np.iinfo(channel.dtype).min)
    return values
