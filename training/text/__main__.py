"""Make the texts: sentences to train with, and others to measure with."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from training.options import Options
from training.text.lists import Lists
from training.text.sentences import Sentences, evaluated
from training.text.vocabulary import Vocabulary

TRAINING, HELD_OUT = "sentences.txt", "held_out.txt"
HELD_OUT_COUNT = 400


def main(options: Options) -> None:
    if (options.data / TRAINING).exists():
        return
    options.data.mkdir(parents=True, exist_ok=True)
    sentences = iter(Sentences(Vocabulary.read(), Lists.read(), evaluated(), options.seed))
    write(options.data / HELD_OUT, islice(sentences, min(HELD_OUT_COUNT, options.count)))
    write(options.data / TRAINING, islice(sentences, options.count))


def write(file: Path, lines: Iterator[str]) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as text:
        for line in lines:
            text.write(line + "\n")
    partial.replace(file)


if __name__ == "__main__":
    main(Options.parse(__doc__, count=60_000))
