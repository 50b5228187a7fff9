"""Teach the language model to read and to keep its place, on phones in place of codes: OUT/alignment."""

import sys

import torch

from training.alignment.phone_codes import stand_ins
from training.codec.sizes import SIZES as CODEC_SIZES
from training.corpus.corpus import Corpus
from training.llm.trainer import Trainer
from training.llm.vocabulary import Vocabulary
from training.options import NOT_DONE, Options

NAME = "alignment"


def main(options: Options) -> bool:
    sizes = CODEC_SIZES[options.size]
    vocabulary = Vocabulary(sizes.codes, sizes.speaker_codes)
    corpus = Corpus(options.data / "train", torch.device("cpu"))
    tokens = stand_ins(corpus, vocabulary, sizes.speaker_tokens)
    return Trainer.prepare(NAME, options, corpus, tokens, vocabulary).run()


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
