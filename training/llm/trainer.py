"""One training of the language model, whatever its codes stand for."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Qwen2ForCausalLM

from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.device import Compute
from training.llm.aids import PhoneHead, Planes
from training.llm.batches import Batch, Batches, loader
from training.llm.examples import Examples
from training.llm.sizes import SIZES
from training.llm.stage import Stage
from training.llm.vocabulary import Vocabulary
from training.loop import Kept, Loop
from training.options import Options
from training.tokens.store import Tokens

_RATE = 1.5e-3
_IDS_ON_GPU, _IDS_ON_CPU, _IDS_TINY = 65_536, 3072, 1536


@dataclass
class Trainer:
    """Until `run` weights may be put in; `weights` are those that it trained."""

    loop: Loop
    model: Qwen2ForCausalLM
    phones: PhoneHead
    planes: Planes
    source: "torch.utils.data.DataLoader[Batch]"
    compute: Compute
    semantic: tuple[int, int]

    @classmethod
    def prepare(cls, name: str, options: Options, corpus: Corpus, tokens: Tokens, vocabulary: Vocabulary) -> "Trainer":
        torch.manual_seed(options.seed)
        compute, sizes, loop = Compute.choose(options.device), SIZES[options.size], Loop.resume(name, options)
        examples = Examples(corpus, tokens, vocabulary, Cast.draw(PUPILS, HELD_OUT_SPEAKERS))
        batches = Batches(examples, vocabulary.pad, _ids(options, compute), (options.seed, *loop.seed))
        # Processes of the loader come first: they must not inherit a GPU.
        source = loader(batches, options.workers if compute.on_gpu else 0, pinned=compute.on_gpu)
        with compute.device:
            model = Qwen2ForCausalLM(sizes.config(vocabulary))
        phones = PhoneHead(sizes.hidden).to(compute.device)
        planes = Planes(vocabulary, sizes.hidden).to(compute.device)
        first = vocabulary.id("bicodec_semantic_0")
        return cls(loop, model, phones, planes, source, compute, (first, first + vocabulary.semantic))

    @property
    def begun(self) -> bool:
        """Whether an earlier run left a state."""
        return bool(self.loop.state)

    def run(self) -> bool:
        """Returns whether the step is done."""
        stage = Stage(self.model, self.phones, self.planes, iter(self.source), self.compute, self.semantic, _RATE)
        kept: dict[str, Kept] = {
            "model": self.model,
            "phones": self.phones,
            "planes": self.planes,
            "optimiser": stage.optimiser,
            "mean": stage.mean,
        }
        done = self.loop.run(stage, kept)
        embeddings = "model.embed_tokens.weight"
        mean = stage.mean.mean
        self.weights: Mapping[str, Tensor] = {**mean, embeddings: self.planes(mean[embeddings]).detach()}
        return done


def _ids(options: Options, compute: Compute) -> int:
    """In a batch."""
    if options.size == "tiny":
        return _IDS_TINY
    return _IDS_ON_GPU if compute.on_gpu else _IDS_ON_CPU
