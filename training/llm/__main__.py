"""Train the language model on the cached tokens: OUT/llm; and put it into OUT/voice."""

import sys

import torch
from transformers import Qwen2ForCausalLM

from services.codec.families.spark.config import SparkConfig
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.device import Compute
from training.export import llm as exported
from training.llm.aids import PhoneHead
from training.llm.batches import Batches, loader
from training.llm.examples import Examples
from training.llm.sizes import SIZES
from training.llm.stage import Stage
from training.llm.vocabulary import Vocabulary
from training.loop import Kept, Loop
from training.options import NOT_DONE, Options
from training.tokens.__main__ import NAME as TOKENS
from training.tokens.__main__ import VOICE
from training.tokens.store import Tokens

NAME = "llm"
_RATE = 1.5e-3
_IDS_ON_GPU, _IDS_ON_CPU, _IDS_TINY = 65_536, 3072, 1536


def main(options: Options) -> bool:
    torch.manual_seed(options.seed)
    compute, sizes = Compute.choose(options.device), SIZES[options.size]
    codec = SparkConfig.read(options.out / VOICE).codec
    vocabulary = Vocabulary(codec.quantizer.codebook_size, codec.speaker_encoder.codebook_size)
    corpus = Corpus(options.data / "train", torch.device("cpu"))
    tokens = Tokens(options.out / TOKENS / "train", corpus)
    examples = Examples(corpus, tokens, vocabulary, Cast.draw(PUPILS, HELD_OUT_SPEAKERS))
    loop = Loop.resume(NAME, options)
    batches = Batches(examples, vocabulary.pad, _ids(options, compute), (options.seed, *loop.seed))
    # Processes of the loader come first: they must not inherit a GPU.
    source = iter(loader(batches, options.workers if compute.on_gpu else 0, pinned=compute.on_gpu))
    with compute.device:
        model = Qwen2ForCausalLM(sizes.config(vocabulary))
    phones = PhoneHead(sizes.hidden).to(compute.device)
    first = vocabulary.id("bicodec_semantic_0")
    stage = Stage(model, phones, source, compute, (first, first + vocabulary.semantic), _RATE)
    kept: dict[str, Kept] = {
        "model": model,
        "phones": phones,
        "optimiser": stage.optimiser,
        "mean": stage.mean,
    }
    done = loop.run(stage, kept)
    exported.write(options.out / VOICE, sizes, vocabulary, stage.mean.mean)
    return done


def _ids(options: Options, compute: Compute) -> int:
    """In a batch."""
    if options.size == "tiny":
        return _IDS_TINY
    return _IDS_ON_GPU if compute.on_gpu else _IDS_ON_CPU


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
