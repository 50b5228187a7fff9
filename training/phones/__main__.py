"""Train the ear on the training part of the corpus, and say how well it hears the held-out part: OUT/phones."""

import json
import sys
from pathlib import Path

import torch

from training.corpus.corpus import Corpus
from training.device import Compute
from training.loop import Kept, Loop
from training.options import NOT_DONE, Options
from training.phones.ear import BLANK, PhoneEar, distance
from training.phones.stage import Lessons, Stage
from training.prefetch import ahead

NAME, FILE, FIGURES = "phones", "ear.safetensors", "ear.json"
_SIZES = {"small": (256, 7), "tiny": (48, 2)}
_SECONDS_ON_GPU, _SECONDS_ON_CPU = 600.0, 60.0


def main(options: Options) -> bool:
    torch.manual_seed(options.seed)
    compute = Compute.choose(options.device)
    corpus = Corpus(options.data / "train", compute.device)
    ear = PhoneEar(*_SIZES[options.size]).to(compute.device)
    loop, seconds = Loop.resume(NAME, options), _SECONDS_ON_GPU if compute.on_gpu else _SECONDS_ON_CPU
    lessons = iter(Lessons(corpus, seconds, (options.seed, *loop.seed)))
    stage = Stage(ear, ahead(lessons, 4) if compute.on_gpu else lessons, compute)
    kept: dict[str, Kept] = {"ear": ear, "optimiser": stage.optimiser, "mean": stage.mean}
    done = loop.run(stage, kept)
    ear.load_state_dict(stage.mean.mean)
    ear.save(options.out / NAME / FILE)
    figures = measure(options.out / NAME / FILE, Corpus(options.data / "held_out", torch.device("cpu")), options.count)
    (options.out / NAME / FIGURES).write_text(json.dumps(figures) + "\n", encoding="utf-8")
    print(figures)
    return done


def measure(file: Path, corpus: Corpus, count: int) -> dict[str, float]:
    """Of other sentences by other speakers than it was trained with."""
    ear = PhoneEar.load(file)
    errors = phones = 0
    for index, utterance in enumerate(corpus.utterances[:count]):
        said = [int(phone) for phone in utterance.phones[:, 0] if phone != BLANK]
        errors += distance(ear.hear(corpus.samples(index).numpy()), said)
        phones += len(said)
    return {"phone_error_rate": errors / phones, "utterances": min(count, len(corpus.utterances)), "phones": phones}


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__, count=200)) else NOT_DONE)
