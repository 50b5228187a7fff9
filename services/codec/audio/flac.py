"""Recordings as they are kept: mono FLAC, lossless, at their own rate."""

import io
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from services.codec.audio.decode import Recording


def storable(recording: Recording) -> Recording:
    """What FLAC can hold of it, which is what the model hears: so the kept recording gives the tokens of the first one.

    Integers of up to 24 bits are unchanged. Others, and what lossy files decode to, are rounded to 24 bits, and scaled
    to full scale where they are louder.
    """
    if recording.bits <= 16:
        return recording
    samples = recording.samples / max(1.0, float(np.max(np.abs(recording.samples))))
    return Recording(_integers(samples, 24) / 2.0**23, recording.sample_rate, 24)


def to_flac(recording: Recording) -> bytes:
    """Of a storable one."""
    format_, shift = ("s16", 0) if recording.bits <= 16 else ("s32", 8)
    values = _integers(recording.samples, 16 if recording.bits <= 16 else 24) << shift
    frame = av.AudioFrame.from_ndarray(values.astype(f"i{4 if shift else 2}")[None], format_, "mono")
    frame.sample_rate, frame.pts, frame.time_base = recording.sample_rate, 0, Fraction(1, recording.sample_rate)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=recording.sample_rate, format=format_, layout="mono")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def _integers(samples: NDArray[np.float64], bits: int) -> NDArray[np.int32]:
    """In [-1, 1] -> in [-2 ** (bits - 1), 2 ** (bits - 1))."""
    scale = 2 ** (bits - 1)
    integers: NDArray[np.int32] = np.clip(np.rint(samples * scale), -scale, scale - 1).astype(np.int32)
    return integers
