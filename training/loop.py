"""Run a step until its time is used up: progress, a log, checkpoints, and taking up where an earlier run stopped."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor

from training.budget import Budget
from training.options import Options
from training.progress import Progress

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
_EVERY = 10
_SECONDS_BETWEEN_CHECKPOINTS = 90.0

Figures = Mapping[str, Tensor | float]


class Kept(Protocol):
    """What a checkpoint holds."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> object: ...


@dataclass
class Loop:
    """folder: of the step's checkpoint and log. every: steps between two lines of the log."""

    name: str
    folder: Path
    budget: Budget
    state: dict[str, Any]
    every: int

    @classmethod
    def resume(cls, name: str, options: Options) -> "Loop":
        """With the state of an earlier run, if there was one."""
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        budget = Budget(options.minutes, options.session, options.steps)
        file, state = folder / CHECKPOINT, {}
        if file.exists():
            state = torch.load(file, map_location="cpu", weights_only=True)
            budget.step, budget.before = state["step"], state["elapsed"]
        # A tiny training has few steps, and one batch of them is not like another.
        return cls(name, folder, budget, state, 1 if options.size == "tiny" else _EVERY)

    @property
    def seed(self) -> tuple[int, int]:
        """For what is drawn in this run: no run repeats what an earlier one drew."""
        return self.budget.step, len(self.name)

    def run(self, step: Callable[[float], Figures], kept: Mapping[str, Kept]) -> bool:
        """`step` gets the progress, 0 to 1, and returns figures for the log. `kept` first gets what an earlier run
        saved of it. Returns whether the step is done.
        """
        if self.state:
            for name, each in kept.items():
                each.load_state_dict(self.state[name])
            self.state = {}
        saved = time.monotonic()
        with _stopped_by_signal(self.budget), Progress(self.name, self.budget) as progress:
            while not self.budget.spent:
                figures = step(self.budget.progress)
                self.budget.step += 1
                if self.budget.step % self.every == 0:
                    progress.show(self.budget.step, self._log(figures))
                if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                    self._save(kept)
                    saved = time.monotonic()
        self._save(kept)
        return self.budget.done

    def _save(self, kept: Mapping[str, Kept]) -> None:
        state = {name: each.state_dict() for name, each in kept.items()}
        partial = self.folder / "checkpoint.partial"
        torch.save({**state, "step": self.budget.step, "elapsed": self.budget.elapsed}, partial)
        partial.replace(self.folder / CHECKPOINT)

    def _log(self, figures: Figures) -> dict[str, float]:
        values = {name: _float(value) for name, value in figures.items()}
        line = {"step": self.budget.step, "seconds": round(self.budget.elapsed, 2), **values}
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        return values


def _float(value: Tensor | float) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else value


def read_log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG).read_text("utf-8").splitlines()]


@contextmanager
def _stopped_by_signal(budget: Budget) -> Iterator[None]:
    """SIGTERM ends the run as the end of its time would: with a checkpoint."""

    def stop(number: int, frame: FrameType | None) -> None:
        budget.session = 0.0

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
