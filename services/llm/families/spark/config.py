"""The files of a Spark-TTS checkpoint that the LLM stage reads besides LLM/, checked. The codec's weights are not its
business, but the number of codes is.
"""

import math
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.llm.checkpoint import UnusableCheckpoint

Size = Annotated[int, Field(gt=0)]
File = TypeVar("File", bound=BaseModel)


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Quantizer(_Read):
    codebook_size: Size


class _SpeakerEncoder(_Read):
    token_num: Size
    fsq_levels: Annotated[list[Size], Field(min_length=1)]


class _AudioTokenizer(_Read):
    quantizer: _Quantizer
    speaker_encoder: _SpeakerEncoder


class _BiCodec(_Read):
    audio_tokenizer: _AudioTokenizer


class _Audio(_Read):
    sample_rate: Size
    latent_hop_length: Size


class Extras(_Read):
    """voxline.yaml: what the published layout does not say of a checkpoint; every key, and the file, may be left out.

    max_segment_characters: users of the published model keep a call below 200 (SparkAudio/Spark-TTS#133).
    clone_with_transcript: false for a model that was not trained to continue a reference.
    max_reference_seconds: the longest that it continues; none: as long as the tokenizer takes.
    """

    max_segment_characters: Size = 200
    default_voice: str | None = None
    clone_with_transcript: bool = True
    max_reference_seconds: float | None = Field(default=None, gt=0)


class SparkConfig(_Read):
    """codebook_size: semantic codes; global codes have `global_codebook_size` values; frame_rate: Hz."""

    codebook_size: Size
    global_token_count: Size
    global_codebook_size: Size
    frame_rate: float
    extras: Extras


def load_spark_config(checkpoint: Path) -> SparkConfig:
    """Raises UnusableCheckpoint."""
    codec = _load(checkpoint / "BiCodec" / "config.yaml", _BiCodec).audio_tokenizer
    audio = _load(checkpoint / "config.yaml", _Audio)
    extras = checkpoint / "voxline.yaml"
    return SparkConfig(
        codebook_size=codec.quantizer.codebook_size,
        global_token_count=codec.speaker_encoder.token_num,
        global_codebook_size=math.prod(codec.speaker_encoder.fsq_levels),
        frame_rate=audio.sample_rate / audio.latent_hop_length,
        extras=_load(extras, Extras) if extras.exists() else Extras(),
    )


def _load(path: Path, file: type[File]) -> File:
    try:
        return file.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, ValidationError, yaml.YAMLError) as exc:
        raise UnusableCheckpoint(f"{path}: {exc}") from exc
