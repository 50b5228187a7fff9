"""Export the trained codec, and let it hear every speaker of the corpus: OUT/voice and OUT/tokens."""

import sys
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path

import torch

from training.budget import Budget
from training.codec.__main__ import NAME as CODEC
from training.codec.modules import Codec
from training.codec.sizes import SIZES
from training.corpus import shards
from training.device import Compute
from training.export import audio, bicodec
from training.loop import CHECKPOINT
from training.options import NOT_DONE, Options
from training.progress import Progress
from training.tokens import store
from training.tokens.task import Task

NAME, VOICE = "tokens", "voice"
PARTS = ("held_out", "train")


def main(options: Options) -> bool:
    voice = options.out / VOICE
    if not (voice / bicodec.FOLDER / bicodec.WEIGHTS).exists():
        export(options, voice)
    tasks = [task for part in PARTS for task in _tasks(options, voice, part)]
    # One process fills a GPU.
    workers = 1 if Compute.choose(options.device).on_gpu else options.workers
    return run(tasks, options, workers)


def export(options: Options, voice: Path) -> None:
    """The codec without its tokenizer and wave generator."""
    sizes = SIZES[options.size]
    codec = Codec(sizes)
    codec.load_state_dict(torch.load(options.out / CODEC / CHECKPOINT, "cpu", weights_only=True)["codec"])
    bicodec.write_config(voice, sizes)
    audio.write(voice, sizes)
    bicodec.write_weights(voice, {**bicodec.unused(sizes), **codec.published()})


def run(tasks: Sequence[Task], options: Options, workers: int) -> bool:
    """Returns whether all are done."""
    budget, utterances = Budget(options.minutes, options.session), 0
    with get_context("spawn").Pool(workers) as pool, Progress(NAME, budget, len(tasks)) as progress:
        made = pool.imap_unordered(Task.run, tasks) if workers > 1 else map(Task.run, tasks)
        for index, count in enumerate(made, start=1):
            utterances += count
            progress.show(index, {"utterances": utterances})
            if budget.spent:
                return index == len(tasks)
    return True


def _tasks(options: Options, voice: Path, part: str) -> Iterator[Task]:
    """What is still to be done."""
    speech, folder = options.data / part, options.out / NAME / part
    folder.mkdir(parents=True, exist_ok=True)
    for shard in shards.finished(speech):
        if shards.read(speech, shard) and not store.file_of(folder, shard).exists():
            yield Task(voice, options.device, speech, folder, shard)


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
