"""What a step shows while it runs: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from training.budget import Budget

_SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """`total`: how many of what `show` counts, or None where only the budget tells how far the step is."""

    def __init__(self, name: str, budget: Budget, total: int | None = None) -> None:
        self._name, self._budget, self._total = name, budget, total
        self._bar = Bar(TextColumn(name), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[text]}"))
        self._task = self._bar.add_task(name, total=1.0, text="")
        self._shown = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, count: int, figures: Mapping[str, float]) -> None:
        text = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
        share = count / self._total if self._total else self._budget.progress
        if self._bar.live.is_started:
            self._bar.update(self._task, completed=share, text=text)
        elif time.monotonic() - self._shown >= _SECONDS_BETWEEN_LINES or share >= 1:
            self._shown = time.monotonic()
            print(f"{self._name} {100 * share:5.1f} % {self._budget.elapsed:6.0f} s, {count}: {text}", flush=True)
