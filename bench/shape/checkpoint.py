"""Writes a random checkpoint in the published layout, once."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2ForCausalLM, Wav2Vec2Config, Wav2Vec2Model

from bench.shape.shape import Config, Shape
from bench.shape.vocabulary import END, added_tokens, semantic_ids, tokenizer
from bench.shape.weights import Dice, ThrownWeights
from services.codec.families.spark import encoder, quantizer
from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.encoder import Encoder
from services.codec.families.spark.quantizer import CodebookSearch
from services.codec.families.spark.speaker import SpeakerEncoder
from services.codec.families.spark.tokenizer import WAV2VEC2

_EMBEDDING = "model.embed_tokens.weight"
_TIED = "lm_head.weight"
# Codes then have logits of some size, and are all that is ever drawn: what else may be drawn has logits about zero.
_CODE_LEVEL, _OTHER_LEVEL = 1.5, 0.01


def made(shape: Shape, cache: Path) -> Path:
    """The checkpoint's folder in `cache`, where it appears whole. About 2 GB at the published widths."""
    target = cache / f"random-{shape.name}"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=cache))
        try:
            write(shape, unfinished)
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return target


def write(shape: Shape, folder: Path) -> None:
    dice = Dice()
    for part in ("LLM", "BiCodec", WAV2VEC2):
        (folder / part).mkdir()
    _write_yaml(folder / "config.yaml", shape.audio)
    _write_yaml(folder / "BiCodec/config.yaml", {"audio_tokenizer": dict(shape.codec)})
    _save(codec_tensors(shape, SparkConfig.read(folder), dice), folder / "BiCodec")
    _write_json(folder / "LLM/config.json", {**shape.llm, "eos_token_id": added_tokens(shape)[END]})
    (folder / "LLM/tokenizer.json").write_text(tokenizer(shape), "utf-8")
    _save(llm_tensors(shape, dice), folder / "LLM")
    _write_json(folder / WAV2VEC2 / "config.json", shape.wav2vec2)
    rate = shape.audio["sample_rate"]
    _write_json(folder / WAV2VEC2 / "preprocessor_config.json", {"sampling_rate": rate, "do_normalize": True})
    _save(_thrown(partial(Wav2Vec2Model, Wav2Vec2Config(**shape.wav2vec2)), dice), folder / WAV2VEC2)


def codec_tensors(shape: Shape, config: SparkConfig, dice: Dice) -> dict[str, Tensor]:
    """What both halves of the codec load."""
    weights, codec = ThrownWeights(shape, dice), config.codec
    sizes = (codec.quantizer.input_dim, codec.quantizer.codebook_size, codec.quantizer.codebook_dim)
    weights.load(partial(Encoder, codec.encoder), encoder.PREFIX)
    weights.load(partial(CodebookSearch, *sizes), quantizer.PREFIX)
    SpeakerEncoder(codec, weights)
    SparkDetokenizer(config, weights, torch.device("cpu"))
    return weights.thrown


def llm_tensors(shape: Shape, dice: Dice) -> dict[str, Tensor]:
    tensors = _thrown(partial(Qwen2ForCausalLM, Qwen2Config(**shape.llm)), dice)
    tensors.pop(_TIED, None)
    levels = torch.full((len(tensors[_EMBEDDING]), 1), _OTHER_LEVEL)
    levels[semantic_ids(shape)] = _CODE_LEVEL
    tensors[_EMBEDDING] = (tensors[_EMBEDDING] * levels).bfloat16()
    return tensors


def _thrown(build: Callable[[], nn.Module], dice: Dice) -> dict[str, Tensor]:
    """For every tensor of a module, which itself is never allocated."""
    with torch.device("meta"):
        module = build()
    return {name: dice.throw(name, value.shape) for name, value in module.state_dict().items()}


def _save(tensors: Mapping[str, Tensor], folder: Path) -> None:
    save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})


def _write_json(path: Path, values: Config) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n")


def _write_yaml(path: Path, values: Config) -> None:
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False))
