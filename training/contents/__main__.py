"""Tie the frames of the teachers into contents, and give every frame of the corpus its own: OUT/contents."""

import sys
from collections.abc import Sequence

import joblib
import numpy as np
import torch
from numpy.typing import NDArray

from training.codec.sizes import SIZES
from training.contents import store
from training.contents.features import features, moments_of
from training.contents.sounds import Sounds
from training.contents.trees import Trees
from training.corpus import shards
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.corpus.utterance import Utterance
from training.frames import frames_of
from training.options import NOT_DONE, Options

NAME = "contents"
PARTS = ("held_out", "train")
OWNERS, TREES = "owners.npy", "trees.joblib"
"""Of each content its phone; what tells contents, so that another corpus gets the same."""
_MOST_FRAMES, _UTTERANCES = 200_000, 1500


def main(options: Options) -> bool:
    folder, most = options.out / NAME, SIZES[options.size].contents
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TREES).exists():
        grown = _grown(Corpus(options.data / "train", torch.device("cpu")), most, options.seed)
        joblib.dump(grown, folder / TREES, compress=True)
    trees: Trees = joblib.load(folder / TREES)
    print(f"{trees.count} contents")
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number in shards.finished(options.data / part):
            utterances = shards.read(options.data / part, number)
            if utterances:
                store.write(folder / part, number, contents_of(trees, utterances))
    np.save(folder / OWNERS, np.pad(trees.owners, (0, most - trees.count)))
    return True


def contents_of(trees: Trees, utterances: Sequence[Utterance]) -> list[NDArray[np.uint16]]:
    """Of each [F]."""
    counts = [frames_of(utterance.samples) for utterance in utterances]
    each = [features(moments_of(count), utterance) for count, utterance in zip(counts, utterances, strict=True)]
    phones, places = (np.concatenate(rows) for rows in zip(*each, strict=True))
    return np.split(trees.of(phones, places).astype(np.uint16), np.cumsum(counts)[:-1])


def _grown(corpus: Corpus, most: int, seed: int) -> Trees:
    """By the teachers, who differ in pitch and gender alone."""
    draws = np.random.default_rng(seed)
    teachers = {speaker.name for speaker in Cast.draw(PUPILS, HELD_OUT_SPEAKERS).teachers}
    of_teachers = [index for index, each in enumerate(corpus.utterances) if each.voice[:-1] in teachers]
    chosen = draws.choice(of_teachers, min(_UTTERANCES, len(of_teachers)), replace=False)
    heard = Sounds.of(corpus, chosen.tolist())
    count = len(heard.phones)
    kept = draws.choice(count, min(_MOST_FRAMES, count), replace=False)
    return Trees.grow(heard.phones[kept], heard.features[kept], heard.cepstra[kept], most, seed)


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
