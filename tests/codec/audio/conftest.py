import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Encode = Callable[[NDArray[np.float64], int, str, str], bytes]


def _encode(samples: NDArray[np.float64], sample_rate: int, container: str, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=sample_rate)
        stream.layout = "mono"
        resampler = av.AudioResampler(stream.format, "mono", sample_rate)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
        fifo = av.AudioFifo()
        for resampled in resampler.resample(frame):
            fifo.write(resampled)
        while (part := fifo.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture
def encode() -> Encode:
    """(samples [n], sample rate, FFmpeg's container name, codec) -> the bytes of a file."""
    return _encode


@pytest.fixture
def tone() -> NDArray[np.float64]:
    """2 s at 48 kHz."""
    return 0.3 * np.sin(2 * np.pi * 220 * np.arange(96_000) / 48_000)
