"""Let the teacher read the texts: `DATA/train` and, by other speakers and of other sentences, `DATA/held_out`."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

from training.budget import Budget
from training.corpus import shards
from training.corpus.speakers import Cast, Speaker
from training.corpus.task import SENTENCES_PER_SHARD, Task
from training.corpus.utterance import SAMPLE_RATE
from training.options import NOT_DONE, Options
from training.progress import Progress
from training.text.__main__ import HELD_OUT, TRAINING

PUPILS, HELD_OUT_SPEAKERS = 500, 12


@dataclass(frozen=True)
class Part:
    """Of the corpus: its sentences and speakers."""

    name: str
    texts: str
    count: int
    teachers: Sequence[Speaker]
    others: Sequence[Speaker]

    def tasks(self, options: Options) -> Iterator[Task]:
        """What is still to be done."""
        folder = options.data / self.name
        folder.mkdir(parents=True, exist_ok=True)
        sentences = (options.data / self.texts).read_text("utf-8").splitlines()[: self.count]
        done = set(shards.finished(folder))
        for number, start in enumerate(range(0, len(sentences), SENTENCES_PER_SHARD)):
            part = sentences[start : start + SENTENCES_PER_SHARD]
            if number not in done:
                yield Task(folder, number, part, self.teachers, self.others, options.seed)


def main(options: Options) -> bool:
    cast = Cast.draw(PUPILS, HELD_OUT_SPEAKERS)
    parts = (
        Part("held_out", HELD_OUT, max(options.count // 10, 8), (), cast.held_out),
        Part("train", TRAINING, options.count, cast.teachers, cast.pupils),
    )
    return run([task for part in parts for task in part.tasks(options)], options)


def run(tasks: Sequence[Task], options: Options) -> bool:
    """Returns whether all are done."""
    budget = Budget(options.minutes, session=options.session)
    with get_context("spawn").Pool(options.workers) as pool, Progress("corpus", budget, len(tasks)) as progress:
        samples = 0
        for index, made in enumerate(pool.imap_unordered(Task.run, tasks), start=1):
            samples += made
            progress.show(index, {"hours": samples / SAMPLE_RATE / 3600})
            if budget.spent:
                return index == len(tasks)
    return True


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__, count=60_000)) else NOT_DONE)
