"""Reference audio: what a user uploads to clone a voice, checked, mono and at the model's rate."""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from services.codec.audio.decode import FIELD, Recording, decode
from services.codec.audio.flac import storable, to_flac
from services.runtime.errors import InvalidRequest, TooLarge

# -60 dBFS: below it the volume normalisation stops lifting a clip, so the model would hear nothing.
SILENCE = 1e-3


@dataclass(frozen=True)
class ReferenceLimits:
    """What an upload may be.

    60 s is what the language model may generate in one go (3000 tokens), and a transcript longer than that cannot be
    continued; half a second is about the shortest clip that holds a syllable. 32 MiB hold 60 s of 48 kHz stereo float.
    """

    max_bytes: int = 32 * 2**20
    min_seconds: float = 0.5
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.min_seconds <= self.max_seconds:
            raise ValueError(f"0 < min_seconds <= max_seconds, not {self.min_seconds:g} and {self.max_seconds:g}")
        if self.max_bytes <= 0:
            raise ValueError(f"max_bytes must be positive, not {self.max_bytes}")


@dataclass(frozen=True)
class Reference:
    """`clip`: at the model's rate, its volume untouched; `flac`: the recording at its own, mono; may be empty."""

    clip: Recording
    flac: bytes = b""


def load_reference(data: bytes, sample_rate: int, limits: ReferenceLimits, keep: bool = False) -> Reference:
    """The recording in `data` at `sample_rate` Hz. `keep`: as FLAC too, which read again gives the very same clip.

    Raises InvalidRequest or TooLarge, with the field `audio`, for everything that is no usable recording.
    """
    recording = _checked(data, limits)
    return Reference(_resampled(recording, sample_rate), to_flac(recording) if keep else b"")


def _checked(data: bytes, limits: ReferenceLimits) -> Recording:
    if len(data) > limits.max_bytes:
        raise TooLarge(f"the audio has {len(data)} bytes, {limits.max_bytes} are allowed", field=FIELD)
    recording = decode(data, limits.max_seconds)
    if recording.seconds < limits.min_seconds:
        raise InvalidRequest(
            f"the audio is {recording.seconds:.2f} s long, at least {limits.min_seconds:g} s are needed", field=FIELD
        )
    if not np.isfinite(recording.samples).all():
        raise InvalidRequest("the audio holds samples that are no finite numbers", field=FIELD)
    if np.max(np.abs(recording.samples)) < SILENCE:
        raise InvalidRequest("the audio is silent: every sample is below -60 dBFS", field=FIELD)
    return storable(recording)


def _resampled(recording: Recording, sample_rate: int) -> Recording:
    if recording.sample_rate == sample_rate:
        return recording
    samples = soxr.resample(recording.samples, recording.sample_rate, sample_rate, quality="VHQ")
    return Recording(samples, sample_rate)


def reference_clip(samples: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """[n] -> [length]: the start of a long clip, a short one repeated."""
    return np.resize(samples, length)
