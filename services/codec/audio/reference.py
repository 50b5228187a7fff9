"""Reference audio: what a user uploads to clone a voice, checked, cleaned, mono and at the model's rate."""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from services.codec.audio.cleaning import cleaned
from services.codec.audio.decode import FIELD, Recording, decode
from services.codec.audio.flac import storable, to_flac
from services.codec.audio.speech import SILENCE, changes, most_speech
from services.runtime.errors import InvalidRequest, TooLarge


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
    """`clip`: at the model's rate, its volume untouched; `flac`: the same at the recording's own rate, mono; may be
    empty. `start`: seconds of the file before it.
    """

    clip: Recording
    flac: bytes = b""
    start: float = 0.0


def load_reference(
    data: bytes, sample_rate: int, limits: ReferenceLimits, keep: bool = False, longest: float | None = None
) -> Reference:
    """The recording in `data` at `sample_rate` Hz. `keep`: as FLAC too, which read again gives the very same clip.
    `longest`: seconds; of a longer recording the part with the most speech, where None all of it.

    Raises InvalidRequest or TooLarge, with the field `audio`, for everything that is no usable recording.
    """
    recording, start = cleaned(_read(data, limits))
    _check_length(recording, limits, "without the silence around it ")
    if longest is not None and recording.seconds > longest:
        first, last = most_speech(recording.samples, recording.sample_rate, longest)
        recording, later = cleaned(recording.part(first, last))
        start += first / recording.sample_rate + later
    return Reference(_resampled(recording, sample_rate), to_flac(recording) if keep else b"", start)


def _read(data: bytes, limits: ReferenceLimits) -> Recording:
    if len(data) > limits.max_bytes:
        raise TooLarge(f"the audio has {len(data)} bytes, {limits.max_bytes} are allowed", field=FIELD)
    recording = decode(data, limits.max_seconds)
    _check_length(recording, limits)
    if not np.isfinite(recording.samples).all():
        raise InvalidRequest("the audio holds samples that are no finite numbers", field=FIELD)
    if np.ptp(recording.samples) < 2 * SILENCE:
        raise InvalidRequest("the audio is silent: every sample is below -60 dBFS", field=FIELD)
    if not changes(recording.samples, recording.sample_rate):
        raise InvalidRequest("the audio is silent: it holds nothing but a steady hum", field=FIELD)
    return storable(recording)


def _check_length(recording: Recording, limits: ReferenceLimits, what: str = "") -> None:
    if recording.seconds < limits.min_seconds:
        raise InvalidRequest(
            f"the audio is {what}{recording.seconds:.2f} s long, at least {limits.min_seconds:g} s are needed",
            field=FIELD,
        )


def _resampled(recording: Recording, sample_rate: int) -> Recording:
    if recording.sample_rate == sample_rate:
        return recording
    samples = soxr.resample(recording.samples, recording.sample_rate, sample_rate, quality="VHQ")
    return Recording(samples, sample_rate)


def reference_clip(samples: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """[n] -> [length]: the start of a long clip, a short one repeated."""
    return np.resize(samples, length)
