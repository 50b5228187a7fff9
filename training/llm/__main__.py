"""Train the language model on the cached tokens, from the alignment on: OUT/llm; and put it into OUT/voice."""

import sys

import torch

from services.codec.families.spark.config import SparkConfig
from training.alignment.__main__ import NAME as ALIGNMENT
from training.alignment.phone_codes import translate
from training.corpus.corpus import Corpus
from training.export import llm as exported
from training.llm.sizes import SIZES
from training.llm.trainer import Trainer
from training.llm.vocabulary import Vocabulary
from training.loop import CHECKPOINT
from training.options import NOT_DONE, Options
from training.tokens.__main__ import NAME as TOKENS
from training.tokens.__main__ import VOICE
from training.tokens.store import Tokens

NAME = "llm"


def main(options: Options) -> bool:
    codec = SparkConfig.read(options.out / VOICE).codec
    vocabulary = Vocabulary(codec.quantizer.codebook_size, codec.speaker_encoder.codebook_size)
    corpus = Corpus(options.data / "train", torch.device("cpu"))
    tokens = Tokens.read(options.out / TOKENS / "train", corpus)
    trainer = Trainer.prepare(NAME, options, corpus, tokens, vocabulary)
    if not trainer.begun:
        aligned = torch.load(options.out / ALIGNMENT / CHECKPOINT, "cpu", weights_only=True)
        trainer.phones.load_state_dict(aligned["phones"])
        trainer.model.load_state_dict(aligned["mean"]["mean"])
        trainer.planes.load_state_dict(aligned["planes"])
        embeddings = trainer.model.model.embed_tokens.weight
        translate(embeddings, vocabulary.id("bicodec_semantic_0"), vocabulary.contents, corpus, tokens)
    done = trainer.run()
    exported.write(options.out / VOICE, SIZES[options.size], vocabulary, trainer.weights)
    return done


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
