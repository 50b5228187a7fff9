"""The corpus on disk: `NNNN.pcm` (int16 samples, 16 kHz, one utterance behind the other) and `NNNN.jsonl`.

A shard is there as soon as its `.jsonl` is: readers may start while others are still being made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.corpus.render import Rendered
from training.corpus.utterance import Utterance


def finished(folder: Path) -> list[int]:
    return sorted(int(file.stem) for file in folder.glob("*.jsonl"))


def write(folder: Path, number: int, rendered: Iterable[Rendered]) -> int:
    """Returns the number of samples."""
    lines: list[str] = []
    offset = 0
    with (folder / f"{number:04}.pcm").open("wb") as pcm:
        for utterance, samples in rendered:
            pcm.write(samples.astype("<i2").tobytes())
            lines.append(replace(utterance, offset=offset).to_json())
            offset += len(samples)
    partial = folder / f"{number:04}.partial"
    partial.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    partial.replace(folder / f"{number:04}.jsonl")
    return offset


def read(folder: Path, number: int) -> Sequence[Utterance]:
    text = (folder / f"{number:04}.jsonl").read_text("utf-8")
    return [Utterance.from_json(line, number) for line in text.splitlines()]


def samples(folder: Path, number: int) -> NDArray[np.int16]:
    """All samples of a shard, mapped: what is written to them stays in memory."""
    file = folder / f"{number:04}.pcm"
    return np.memmap(file, "<i2", "c") if file.stat().st_size else np.zeros(0, np.int16)
