"""Audio files to samples: any common container, the channel with the voice, native rate. Knows nothing of models.

FFmpeg (through PyAV) reads every container; integer samples are scaled as soundfile scales them, so that WAV and FLAC
give the very float64 values of `soundfile.read`.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import av
import numpy as np
from numpy.typing import NDArray

from services.codec.audio.channels import to_float, voice_channel
from services.runtime.errors import InvalidRequest, TooLarge

FIELD = "audio"
SAMPLE_RATES = range(8_000, 192_001)
# Only containers that hold their own data: playlist demuxers (hls, concat, dash) open other files and addresses.
_DEMUXERS = "wav,w64,rf64,flac,mp3,aac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aiff,caf,amr"
_CONTAINERS = "wav, flac, mp3, m4a, ogg or webm"
# Of full scale: no encoder makes it, but a decoder may make it of damage that it does not see.
_TOO_LOUD = 4.0
# Of all channels together, as they are decoded.
_MAX_DECODED_BYTES = 256 * 2**20


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

    def part(self, first: int, last: int) -> "Recording":
        return replace(self, samples=self.samples[first:last])


def decode(data: bytes, max_seconds: float) -> Recording:
    """The voice in the first audio stream; decoding stops as soon as `max_seconds` are passed. Damaged packets of a
    lossy file are left out, as players do.

    Raises InvalidRequest when `data` is no readable audio or mostly damaged, and TooLarge when there is more than
    `max_seconds` of it.
    """
    try:
        with av.open(io.BytesIO(data), "r", options={"format_whitelist": _DEMUXERS}) as container:
            return _collect(_frames(container), max_seconds)
    except av.FFmpegError as exc:
        raise _damaged() from exc


def _damaged() -> InvalidRequest:
    return InvalidRequest(f"the audio is damaged or of no known format ({_CONTAINERS})", field=FIELD)


def _frames(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    if not container.streams.audio:
        raise InvalidRequest("the file holds no audio", field=FIELD)
    stream = container.streams.audio[0]
    if stream.codec_context.codec.lossless:
        # Otherwise FFmpeg decodes damaged FLAC frames to noise and says nothing.
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
        yield from container.decode(stream)
        return
    whole = broken = 0
    for packet in container.demux(stream):
        try:
            frames = [frame for frame in packet.decode() if np.abs(to_float(frame.to_ndarray())).max() < _TOO_LOUD]
            whole += bool(frames)
            yield from frames
        except av.FFmpegError:
            broken += 1
    if broken > whole:
        raise _damaged()


def _collect(frames: Iterator[av.AudioFrame], max_seconds: float) -> Recording:
    pieces: list[NDArray[np.generic]] = []
    rate, count, size, bits = 0, 0, 0, 16
    for frame in frames:
        rate = rate or _checked_rate(frame.sample_rate)
        if frame.sample_rate != rate:
            raise InvalidRequest("the audio changes its sample rate half-way", field=FIELD)
        pieces.append(_channels(frame))
        count += pieces[-1].shape[1]
        size += pieces[-1].nbytes
        bits = max(bits, 8 * frame.format.bytes)
        if count > max_seconds * rate:
            raise TooLarge(f"the audio is longer than {max_seconds:g} s", field=FIELD)
        if size > _MAX_DECODED_BYTES:
            raise TooLarge(f"the channels of the audio have more than {_MAX_DECODED_BYTES} bytes", field=FIELD)
    if not count:
        raise InvalidRequest("the audio is empty", field=FIELD)
    # Joined files may differ in their channels.
    common = min(map(len, pieces))
    channels = np.concatenate([piece[:common] for piece in pieces], axis=1)
    return Recording(voice_channel(channels, rate), rate, bits)


def _checked_rate(rate: int) -> int:
    if rate not in SAMPLE_RATES:
        limits = f"{SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz"
        raise InvalidRequest(f"a sample rate of {rate} Hz is outside {limits}", field=FIELD)
    return rate


def _channels(frame: av.AudioFrame) -> NDArray[np.generic]:
    """[C, n]; planar frames are that, packed ones [1, n * C]."""
    samples: NDArray[np.generic] = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T
