"""What we read of a Wav2Vec2 directory's config.json and preprocessor_config.json. Unknown keys are ignored; absent
ones are what transformers takes them for, which writes only what differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from services.codec.families.spark.config_file import read_file
from services.codec.families.spark.weights import CheckpointError

Sizes = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Preprocessor(_File):
    """The rate in Hz."""

    sampling_rate: PositiveInt
    do_normalize: bool = True


class Wav2Vec2Config(_File):
    hidden_size: PositiveInt = 768
    num_hidden_layers: PositiveInt = 12
    num_attention_heads: PositiveInt = 12
    intermediate_size: PositiveInt = 3072
    hidden_act: Literal["gelu"] = "gelu"
    layer_norm_eps: PositiveFloat = 1e-5
    feat_extract_norm: Literal["group", "layer"] = "group"
    feat_extract_activation: Literal["gelu"] = "gelu"
    conv_dim: Sizes = (512,) * 7
    conv_kernel: Sizes = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: Sizes = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: PositiveInt = 128
    num_conv_pos_embedding_groups: PositiveInt = 16
    do_stable_layer_norm: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride):
            raise ValueError("conv_dim, conv_kernel and conv_stride differ in length")
        for name in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if self.hidden_size % getattr(self, name):
                raise ValueError(f"hidden_size is no multiple of {name}")
        return self

    def norm_of(self, index: int) -> str:
        """Of a convolution: "layer", "group", or "" for none."""
        return self.feat_extract_norm if self.feat_extract_norm == "layer" or index == 0 else ""


def read_config(directory: Path, layers: int) -> Wav2Vec2Config:
    """Raises CheckpointError, also when the model has fewer than `layers`."""
    file = directory / "config.json"
    config = read_file(file, Wav2Vec2Config)
    if config.num_hidden_layers < layers:
        raise CheckpointError(f"{file}: num_hidden_layers: {config.num_hidden_layers}, expected {layers} or more")
    return config


def read_preprocessor(directory: Path) -> Preprocessor:
    return read_file(directory / "preprocessor_config.json", Preprocessor)
