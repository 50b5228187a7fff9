"""Train what turns codes and global tokens into frames, and hears who speaks: OUT/codec."""

import sys

import torch

from training.codec.batches import Batches
from training.codec.heads import Heads
from training.codec.modules import Codec
from training.codec.sizes import SIZES
from training.codec.stage import FirstStage
from training.contents import store
from training.contents.__main__ import NAME as CONTENTS
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.device import Compute
from training.loop import Kept, Loop
from training.options import NOT_DONE, Options
from training.prefetch import ahead

NAME = "codec"
_RATE = 1e-3
_ROWS_ON_GPU, _ROWS_ON_CPU, _ROWS_TINY = 192, 16, 8


def main(options: Options) -> bool:
    torch.manual_seed(options.seed)
    compute, sizes = Compute.choose(options.device), SIZES[options.size]
    corpus = Corpus(options.data / "train", compute.device)
    contents = store.read(options.out / CONTENTS / "train", corpus)
    cast, loop = Cast.draw(PUPILS, HELD_OUT_SPEAKERS), Loop.resume(NAME, options)
    traits = len(next(iter(cast.voices.values())).traits)
    codec, heads = Codec(sizes).to(compute.device), Heads(sizes, traits).to(compute.device)
    rows = _rows(options, compute)
    batches = iter(Batches(corpus, contents, cast, rows, sizes.reference_samples, (options.seed, *loop.seed)))
    references = [next(batches).reference for _ in range(4)]
    shortest = min(reference.shape[1] for reference in references)
    codec.speaker_encoder.calibrate(torch.cat([reference[:, :shortest] for reference in references]))
    stage = FirstStage(codec, heads, ahead(batches, 4) if compute.on_gpu else batches, compute, _RATE)
    kept: dict[str, Kept] = {"codec": codec, "heads": heads, "optimiser": stage.optimiser}
    return loop.run(stage, kept)


def _rows(options: Options, compute: Compute) -> int:
    """In a batch."""
    if options.size == "tiny":
        return _ROWS_TINY
    return _ROWS_ON_GPU if compute.on_gpu else _ROWS_ON_CPU


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
