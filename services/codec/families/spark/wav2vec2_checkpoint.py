"""A Wav2Vec2 directory as transformers writes it, old or new: what we read of it.

Old checkpoints are a pytorch_model.bin with the prefix "wav2vec2." and pre-training heads, new ones a model.safetensors
without either.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from torch.nn.utils import parametrize
from transformers import Wav2Vec2Config, Wav2Vec2Model

from services.codec.families.spark.weights import CheckpointError, Weights

PREFIX = "wav2vec2"
_PARTS = ("feature_extractor.", "feature_projection.", "encoder.pos_conv_embed.", "encoder.layer_norm.")


class Preprocessor(BaseModel):
    """preprocessor_config.json; the rate in Hz."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    sampling_rate: PositiveInt
    do_normalize: bool = True


class _Depth(BaseModel):
    """The number in config.json that must be right before transformers reads it all."""

    model_config = ConfigDict(extra="allow", frozen=True)

    num_hidden_layers: PositiveInt


S = TypeVar("S", bound=BaseModel)


def read_preprocessor(directory: Path) -> Preprocessor:
    return _read(directory / "preprocessor_config.json", Preprocessor)


def read_model(directory: Path, layers: int) -> Wav2Vec2Model:
    """The model cut to its first `layers`, float32, for inference; the other weights are left unread."""
    parts = (*_PARTS, *(f"encoder.layers.{index}." for index in range(layers)))
    config = _config(directory / "config.json", layers)
    weights = Weights.read(directory, (*parts, *(f"{PREFIX}.{part}" for part in parts)))
    prefix = PREFIX if f"{PREFIX}.feature_projection.projection.weight" in weights else ""
    return weights.load(partial(_build, config), prefix)


def _build(config: Wav2Vec2Config) -> Wav2Vec2Model:
    model = Wav2Vec2Model(config)
    # Weights come with their norm folded away.
    parametrize.remove_parametrizations(model.encoder.pos_conv_embed.conv, "weight")
    return model


def _config(file: Path, layers: int) -> Wav2Vec2Config:
    found = _read(file, _Depth)
    if found.num_hidden_layers < layers:
        raise CheckpointError(f"{file}: num_hidden_layers: {found.num_hidden_layers}, expected {layers} or more")
    config = Wav2Vec2Config.from_dict(found.model_dump())
    config.num_hidden_layers = layers
    config.mask_time_prob = config.mask_feature_prob = 0.0
    config.add_adapter = False
    config.dtype = torch.float32
    config._attn_implementation = "sdpa"
    return config


def _read(file: Path, kind: type[S]) -> S:
    try:
        return kind.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as exc:
        raise CheckpointError(f"{file}: {exc.strerror}") from exc
    except json.JSONDecodeError as exc:
        raise CheckpointError(f"{file}: not JSON: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(the whole file)"
        raise CheckpointError(f"{file}: {key}: {first['msg']}, found {first['input']!r}") from exc
