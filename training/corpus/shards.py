"""The corpus on disk: `NNNN.pcm` (int16 samples, 16 kHz, one utterance behind the other), `NNNN.npz` (its pitch) and
`NNNN.jsonl`.

A shard is there as soon as its `.jsonl` is: readers may start while others are still being made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.corpus.pitch import Pitch
from training.corpus.render import Rendered
from training.corpus.utterance import Utterance
from training.frames import frames_of

FULL_SCALE = 32767.0


def finished(folder: Path) -> list[int]:
    return sorted(int(file.stem) for file in folder.glob("*.jsonl"))


def write(folder: Path, number: int, rendered: Iterable[Rendered]) -> int:
    """Returns the number of samples."""
    lines: list[str] = []
    pitches: list[Pitch] = []
    offset = 0
    with (folder / f"{number:04}.pcm").open("wb") as pcm:
        for utterance, samples in rendered:
            pcm.write(samples.astype("<i2").tobytes())
            lines.append(replace(utterance, offset=offset).to_json())
            pitches.append(Pitch.of((samples / FULL_SCALE).astype(np.float32), frames_of(len(samples))))
            offset += len(samples)
    write_pitches(folder, number, pitches)
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


def write_pitches(folder: Path, number: int, pitches: Sequence[Pitch]) -> None:
    rows = {name: [getattr(pitch, name) for pitch in pitches] or [np.zeros(0)] for name in ("f0", "phase")}
    f0, phase = (np.concatenate(each).astype(np.float16) for each in rows.values())
    np.savez(folder / f"{number:04}.npz", f0=f0, phase=phase, frames=[len(pitch.f0) for pitch in pitches])


def pitches(folder: Path, number: int) -> list[Pitch]:
    """One for each utterance, in order."""
    with np.load(folder / f"{number:04}.npz") as arrays:
        ends = np.cumsum(arrays["frames"])[:-1]
        rows = [np.split(arrays[name].astype(np.float32), ends) for name in ("f0", "phase")]
    return [Pitch(f0, phase) for f0, phase in zip(*rows, strict=True)]
