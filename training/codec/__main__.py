"""Train the tokenizer and the frame-rate half of the decoder: OUT/codec."""

import sys

import torch

from training.codec.heads import Heads
from training.codec.modules import Codec
from training.codec.pairs import Pairs
from training.codec.sizes import SIZES
from training.codec.stage import FirstStage
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.device import Compute
from training.loop import Kept, Loop
from training.options import NOT_DONE, Options
from training.prefetch import ahead

NAME = "codec"
_RATE = 8e-4
_SECONDS_ON_GPU, _SECONDS_ON_CPU, _SECONDS_TINY = 320.0, 24.0, 12.0


def main(options: Options) -> bool:
    torch.manual_seed(options.seed)
    compute, sizes = Compute.choose(options.device), SIZES[options.size]
    corpus = Corpus(options.data / "train", compute.device)
    cast, loop = Cast.draw(PUPILS, HELD_OUT_SPEAKERS), Loop.resume(NAME, options)
    traits = len(next(iter(cast.voices.values())).traits)
    codec, heads = Codec(sizes).to(compute.device), Heads(sizes, traits).to(compute.device)
    batches = iter(Pairs(corpus, cast, _seconds(options, compute), sizes.reference_samples, (options.seed, *loop.seed)))
    references = [next(batches).reference for _ in range(4)]
    shortest = min(reference.shape[1] for reference in references)
    codec.speaker_encoder.calibrate(torch.cat([reference[:, :shortest] for reference in references]))
    stage = FirstStage(codec, heads, ahead(batches, 4) if compute.on_gpu else batches, compute, _RATE)
    kept: dict[str, Kept] = {"codec": codec, "heads": heads, "codebook": stage.codebook, "optimiser": stage.optimiser}
    return loop.run(stage, kept)


def _seconds(options: Options, compute: Compute) -> float:
    """Of speech in a batch."""
    if options.size == "tiny":
        return _SECONDS_TINY
    return _SECONDS_ON_GPU if compute.on_gpu else _SECONDS_ON_CPU


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
