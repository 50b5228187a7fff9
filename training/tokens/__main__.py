"""Export the trained tokenizer, and let it read the corpus once: OUT/voice and OUT/tokens."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.budget import Budget
from training.codec.__main__ import NAME as CODEC
from training.codec.modules import Codec
from training.codec.sizes import SIZES
from training.corpus.corpus import Corpus
from training.device import Compute
from training.export import bicodec, hearing
from training.loop import CHECKPOINT
from training.options import NOT_DONE, Options
from training.progress import Progress
from training.tokens import store
from training.tokens.tokenizer import Tokenizer

NAME, VOICE = "tokens", "voice"
PARTS = ("held_out", "train")
_BATCH_ON_GPU, _BATCH_ON_CPU = 100, 8


def main(options: Options) -> bool:
    compute = Compute.choose(options.device)
    voice = options.out / VOICE
    if not (voice / bicodec.FOLDER / bicodec.WEIGHTS).exists():
        export(options, voice)
    tokenizer = Tokenizer(voice, compute.device)
    budget = Budget(options.minutes, options.session)
    for part in PARTS:
        corpus = Corpus(options.data / part, torch.device("cpu"))
        folder = options.out / NAME / part
        folder.mkdir(parents=True, exist_ok=True)
        if not _tokenise(tokenizer, corpus, folder, budget, _BATCH_ON_GPU if compute.on_gpu else _BATCH_ON_CPU):
            return False
    return True


def export(options: Options, voice: Path) -> None:
    """The codec without its wave generator."""
    sizes = SIZES[options.size]
    codec = Codec(sizes)
    codec.load_state_dict(torch.load(options.out / CODEC / CHECKPOINT, "cpu", weights_only=True)["codec"])
    bicodec.write_config(voice, sizes)
    hearing.write(voice, codec.wav2vec2, sizes)
    trained = {name: value for name, value in codec.state_dict().items() if not name.startswith("wav2vec2.")}
    bicodec.write_weights(voice, {**bicodec.unused(sizes), **trained})


def _tokenise(tokenizer: Tokenizer, corpus: Corpus, folder: Path, budget: Budget, batch: int) -> bool:
    """Returns whether all is done."""
    shards: dict[int, list[int]] = {}
    for index, utterance in enumerate(corpus.utterances):
        shards.setdefault(utterance.shard, []).append(index)
    with Progress(f"{NAME} {folder.name}", budget, len(shards)) as progress:
        for done, (number, indices) in enumerate(shards.items(), start=1):
            if not store.file_of(folder, number).exists():
                store.write(folder, number, *_read(tokenizer, corpus, indices, batch))
            progress.show(done, {"utterances": len(indices)})
            if budget.spent:
                return done == len(shards)
    return True


def _read(
    tokenizer: Tokenizer, corpus: Corpus, indices: Sequence[int], batch: int
) -> tuple[list[NDArray[np.uint16]], NDArray[np.uint16]]:
    codes: dict[int, NDArray[np.uint16]] = {}
    globals_: dict[int, NDArray[np.uint16]] = {}
    for group in _batches(sorted(indices, key=lambda index: corpus.utterances[index].samples), batch):
        clips = [corpus.samples(index).numpy().astype(np.float64) for index in group]
        codes.update(zip(group, tokenizer.codes(clips), strict=True))
        globals_.update(zip(group, tokenizer.globals_(clips), strict=True))
    return [codes[index] for index in indices], np.stack([globals_[index] for index in indices])


def _batches(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
