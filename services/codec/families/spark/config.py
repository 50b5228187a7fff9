"""What we read of a Spark-TTS directory's config.yaml and BiCodec/config.yaml. Unknown keys are ignored.

Errors are `CheckpointError`s that name the file and the key.
"""

from __future__ import annotations

import math
from operator import attrgetter
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from services.codec.families.spark.config_file import read_file
from services.codec.families.spark.weights import CheckpointError

Ratio = Annotated[int, Field(ge=1, le=1)]
"""A resampling ratio. Every published checkpoint has 1; at other ratios the sampling blocks have weights of their own,
and a token would no longer be one frame."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class AudioConfig(_Section):
    """config.yaml: rates in Hz, the hop in samples, the reference clip in seconds."""

    sample_rate: PositiveInt
    latent_hop_length: PositiveInt
    ref_segment_duration: PositiveFloat
    volume_normalize: bool = False

    @property
    def reference_samples(self) -> int:
        """Length of the reference clip: a whole number of hops."""
        return int(self.sample_rate * self.ref_segment_duration) // self.latent_hop_length * self.latent_hop_length


class MelConfig(_Section):
    sample_rate: PositiveInt
    n_fft: PositiveInt
    win_length: PositiveInt
    hop_length: PositiveInt
    mel_fmin: Annotated[float, Field(ge=0)]
    mel_fmax: PositiveFloat | None
    num_mels: PositiveInt


class VocosConfig(_Section):
    """The encoder, and the part of the prenet that is like it."""

    input_channels: PositiveInt
    vocos_dim: PositiveInt
    vocos_intermediate_dim: PositiveInt
    vocos_num_layers: PositiveInt
    out_channels: PositiveInt
    sample_ratios: list[Ratio] = Field(default=[1, 1])


class PrenetConfig(VocosConfig):
    condition_dim: PositiveInt | None = None
    use_tanh_at_final: bool = False


class GeneratorConfig(_Section):
    """The wave generator: one upsampling block per rate."""

    input_channel: PositiveInt
    channels: PositiveInt
    rates: Annotated[list[PositiveInt], Field(min_length=1)]
    kernel_sizes: Annotated[list[PositiveInt], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> GeneratorConfig:
        if len(self.rates) != len(self.kernel_sizes):
            raise ValueError(f"{len(self.rates)} rates but {len(self.kernel_sizes)} kernel_sizes")
        for rate, kernel in zip(self.rates, self.kernel_sizes, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(f"kernel size {kernel} does not fit rate {rate}: it must exceed it by an even number")
        if self.channels % 2 ** len(self.rates):
            raise ValueError(f"channels {self.channels} cannot be halved {len(self.rates)} times")
        return self

    @property
    def hop(self) -> int:
        """Samples per token."""
        return math.prod(self.rates)


class QuantizerConfig(_Section):
    input_dim: PositiveInt
    codebook_size: PositiveInt
    codebook_dim: PositiveInt


class SpeakerConfig(_Section):
    input_dim: PositiveInt
    out_dim: PositiveInt
    latent_dim: PositiveInt
    token_num: PositiveInt
    fsq_levels: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]
    fsq_num_quantizers: Annotated[int, Field(ge=1, le=1)] = 1

    @property
    def codebook_size(self) -> int:
        return math.prod(self.fsq_levels)


class BiCodecConfig(_Section):
    """BiCodec/config.yaml, key `audio_tokenizer`. The training-only `postnet` is not read."""

    mel_params: MelConfig
    encoder: VocosConfig
    decoder: GeneratorConfig
    quantizer: QuantizerConfig
    speaker_encoder: SpeakerConfig
    prenet: PrenetConfig

    @model_validator(mode="after")
    def _joints(self) -> BiCodecConfig:
        for left, right in (
            ("encoder.out_channels", "quantizer.input_dim"),
            ("quantizer.input_dim", "prenet.input_channels"),
            ("prenet.out_channels", "decoder.input_channel"),
            ("speaker_encoder.out_dim", "prenet.out_channels"),
            ("mel_params.num_mels", "speaker_encoder.input_dim"),
        ):
            found, expected = (attrgetter(key)(self) for key in (left, right))
            if found != expected:
                raise ValueError(f"{left} {found} differs from {right} {expected}")
        if self.prenet.condition_dim not in (None, self.speaker_encoder.out_dim):
            raise ValueError(
                f"prenet.condition_dim {self.prenet.condition_dim} differs from "
                f"speaker_encoder.out_dim {self.speaker_encoder.out_dim}"
            )
        return self


class _BiCodecFile(_Section):
    audio_tokenizer: BiCodecConfig


class Extras(_Section):
    """voxline.yaml: what the published layout does not say of a checkpoint; every key, and the file, may be left out.

    look_ahead_frames: as many as are enough for the ear.
    """

    look_ahead_frames: Annotated[int, Field(ge=0)] = 24


class SparkConfig(_Section):
    """The files of one model directory."""

    audio: AudioConfig
    codec: BiCodecConfig
    extras: Extras

    @classmethod
    def read(cls, model_dir: Path) -> SparkConfig:
        audio = read_file(model_dir / "config.yaml", AudioConfig)
        file = model_dir / "BiCodec" / "config.yaml"
        codec = read_file(file, _BiCodecFile).audio_tokenizer
        if codec.decoder.hop != audio.latent_hop_length:
            raise CheckpointError(
                f"{file}: audio_tokenizer.decoder.rates {codec.decoder.rates} multiply to {codec.decoder.hop}, "
                f"expected latent_hop_length {audio.latent_hop_length} of config.yaml"
            )
        extras = model_dir / "voxline.yaml"
        return cls(audio=audio, codec=codec, extras=read_file(extras, Extras) if extras.exists() else Extras())
