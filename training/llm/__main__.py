"""Train the language model on contents, planes and global tokens: OUT/llm; and put it into OUT/voice."""

import sys

import torch

from services.codec.families.spark.config import SparkConfig
from training.contents.__main__ import NAME as CONTENTS
from training.corpus.corpus import Corpus
from training.export import llm as exported
from training.llm.sizes import SIZES
from training.llm.trainer import Trainer
from training.llm.vocabulary import Vocabulary
from training.options import NOT_DONE, Options
from training.tokens.__main__ import NAME as TOKENS
from training.tokens.__main__ import VOICE
from training.tokens.store import Tokens

NAME = "llm"


def main(options: Options) -> bool:
    codec = SparkConfig.read(options.out / VOICE).codec
    vocabulary = Vocabulary(codec.quantizer.codebook_size, codec.speaker_encoder.codebook_size)
    corpus = Corpus(options.data / "train", torch.device("cpu"))
    tokens = Tokens.read(options.out / CONTENTS / "train", options.out / TOKENS / "train", corpus)
    trainer = Trainer.prepare(NAME, options, corpus, tokens, vocabulary)
    done = trainer.run()
    exported.write(options.out / VOICE, SIZES[options.size], vocabulary, trainer.weights)
    return done


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
