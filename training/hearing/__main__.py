"""Train the tokenizer to hear the codes of the corpus: OUT/hearing; and put it into OUT/voice."""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from services.codec.families.spark import encoder, quantizer
from services.codec.families.spark.weights import Weights
from training.codec.sizes import SIZES, CodecSizes
from training.contents import store
from training.contents.__main__ import NAME as CONTENTS
from training.contents.__main__ import OWNERS
from training.corpus.corpus import Corpus
from training.device import Compute
from training.export import bicodec
from training.export import hearing as exported
from training.hearing.clips import Clips
from training.hearing.modules import Heads, Tokenizer
from training.hearing.stage import Stage
from training.loop import Kept, Loop
from training.options import NOT_DONE, Options
from training.prefetch import ahead
from training.tokens.__main__ import VOICE

NAME = "hearing"
_RATE = 1e-3
_SECONDS_ON_GPU, _SECONDS_ON_CPU, _SECONDS_TINY = 320.0, 20.0, 12.0


def main(options: Options) -> bool:
    torch.manual_seed(options.seed)
    compute, sizes, voice = Compute.choose(options.device), SIZES[options.size], options.out / VOICE
    corpus = Corpus(options.data / "train", compute.device)
    contents = store.read(options.out / CONTENTS / "train", corpus)
    owners = torch.from_numpy(np.load(options.out / CONTENTS / OWNERS))
    tokenizer, heads = Tokenizer(sizes, _rows(voice, sizes)).to(compute.device), Heads(sizes).to(compute.device)
    loop = Loop.resume(NAME, options)
    clips = iter(Clips(corpus, contents, _seconds(options, compute), (options.seed, *loop.seed)))
    stage = Stage(tokenizer, heads, owners, ahead(clips, 4) if compute.on_gpu else clips, compute, _RATE)
    kept: dict[str, Kept] = {
        "tokenizer": tokenizer,
        "heads": heads,
        "optimiser": stage.optimiser,
        "mean": stage.mean,
    }
    done = loop.run(stage, kept)
    tokenizer.load_state_dict(stage.mean.mean)
    exported.write(voice, tokenizer.wav2vec2)
    bicodec.write_weights(voice, published(tokenizer))
    return done


def exported_tokenizer(voice: Path, sizes: CodecSizes) -> Tokenizer:
    """As `main` left it in `voice`. Raises FileNotFoundError or CheckpointError."""
    tokenizer = Tokenizer(sizes, _rows(voice, sizes))
    tokenizer.wav2vec2.model.load_state_dict(exported.read(voice))
    prefixes = (f"{encoder.PREFIX}.", f"{quantizer.PREFIX}.in_project.")
    weights = Weights.read(voice / bicodec.FOLDER, prefixes)
    for module, prefix in zip((tokenizer.encoder, tokenizer.in_project), prefixes, strict=True):
        for name, parameter in module.named_parameters():
            parameter.data.copy_(weights.tensor(prefix + name, parameter.shape))
    return tokenizer


def _rows(voice: Path, sizes: CodecSizes) -> Tensor:
    """Of the contents in the codebook, of length 1."""
    name = f"{quantizer.PREFIX}.codebook.weight"
    codebook = Weights.read(voice / bicodec.FOLDER, [name]).tensor(name, (sizes.codes, sizes.code_width))
    return F.normalize(codebook[: sizes.contents, : sizes.content_width])


def published(tokenizer: Tokenizer) -> Mapping[str, Tensor]:
    """All but wav2vec2, under the published names."""
    parts = {f"{encoder.PREFIX}.{name}": tensor for name, tensor in tokenizer.encoder.state_dict().items()}
    projection = tokenizer.in_project.state_dict().items()
    return {**parts, **{f"{quantizer.PREFIX}.in_project.{name}": tensor for name, tensor in projection}}


def _seconds(options: Options, compute: Compute) -> float:
    """Of speech in a batch."""
    if options.size == "tiny":
        return _SECONDS_TINY
    return _SECONDS_ON_GPU if compute.on_gpu else _SECONDS_ON_CPU


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
