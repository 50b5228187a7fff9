"""Sounds to encode, and a decoder that is not ours to judge the result."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Speech = Callable[[int, float], Samples]
Chunks = Callable[[Samples, int], Iterator[Samples]]


@dataclass(frozen=True)
class Decoded:
    """samples: [T] in [-1, 1]; sample_rate in Hz."""

    samples: Samples
    sample_rate: int


Decode = Callable[[bytes, str], Decoded]
Quality = Callable[[Samples, int, Decoded], tuple[int, float]]
_DEMUXERS = {"opus": "ogg", "m4a": "mp4"}


@pytest.fixture
def speech() -> Speech:
    """(sample_rate, seconds) -> a gliding voice of 20 harmonics in three syllables a second, with pauses between."""

    def make(sample_rate: int, seconds: float) -> Samples:
        time = np.arange(round(sample_rate * seconds)) / sample_rate
        pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * time)
        phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
        voice = np.sum([np.sin(k * phase) / k for k in range(1, 21)], axis=0)
        syllables = np.clip(1.5 * np.sin(2 * np.pi * 3 * time), 0, 1)
        samples: Samples = (0.3 * voice * syllables).astype(np.float32)
        return samples

    return make


@pytest.fixture
def chunks() -> Chunks:
    """(samples, seed) -> the samples in chunks of random lengths, 0 to 0.2 s at 16 kHz; read-only, as they arrive."""

    def cut(samples: Samples, seed: int) -> Iterator[Samples]:
        sizes = np.random.default_rng(seed)
        start = 0
        while start < len(samples):
            end = start + int(sizes.integers(0, 3200))
            chunk = samples[start:end]
            chunk.flags.writeable = False
            yield chunk
            start = end

    return cut


@pytest.fixture
def decode() -> Decode:
    """(file, format name) -> its audio, by libav; `pcm` is taken as 24 kHz."""

    def read(data: bytes, name: str) -> Decoded:
        if name == "pcm":
            return Decoded(_scaled(np.frombuffer(data, "<i2")), 24000)
        with av.open(io.BytesIO(data), format=_DEMUXERS.get(name, name)) as container:
            stream = container.streams.audio[0]
            frames = [_scaled(frame.to_ndarray().reshape(-1)) for frame in container.decode(stream)]
            return Decoded(np.concatenate([np.zeros(0, np.float32), *frames]), stream.rate)

    return read


@pytest.fixture
def quality() -> Quality:
    """(source, its rate, decoded) -> (delay in samples, signal to noise in dB) at the best delay and gain."""

    def measure(source: Samples, sample_rate: int, decoded: Decoded) -> tuple[int, float]:
        wanted, got = soxr.resample(source, sample_rate, decoded.sample_rate), decoded.samples
        size = 1 << (len(wanted) + len(got)).bit_length()
        match = np.fft.irfft(np.fft.rfft(got, size) * np.conj(np.fft.rfft(wanted, size)), size)
        delay = int(np.argmax(match[: size // 2]))
        got = got[delay : delay + len(wanted)]
        wanted = wanted[: len(got)]
        wanted = wanted * (wanted @ got) / (wanted @ wanted)
        noise = np.sum((got - wanted) ** 2)
        return delay, float(10 * np.log10(np.sum(wanted**2) / noise))

    return measure


def _scaled(samples: NDArray[np.generic]) -> Samples:
    scale = 32767.0 if samples.dtype == np.int16 else 1.0
    return (samples / scale).astype(np.float32)
