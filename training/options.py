"""What every step takes on its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOT_DONE = 3
"""The exit status of a step whose session ended before it was done."""


@dataclass(frozen=True)
class Options:
    """data: the corpus; out: everything that training makes. minutes: of wall time for the whole step, over all its
    runs; session: of this run alone, after which it saves and stops. steps, if given, bounds the step too.
    """

    data: Path
    out: Path
    device: str
    minutes: float
    session: float
    steps: int | None
    size: str
    seed: int
    workers: int
    count: int

    @classmethod
    def parse(cls, purpose: str | None, arguments: Sequence[str] | None = None, *, count: int = 0) -> "Options":
        """`count`: the default of --count, what the step makes so many of."""
        parser = argparse.ArgumentParser(description=purpose)
        parser.add_argument("--data", type=Path, default=Path("var/voice/data"), help="folder of the corpus")
        parser.add_argument("--out", type=Path, default=Path("var/voice"), help="folder of all that training makes")
        parser.add_argument("--device", default="auto", help="auto, cpu, cpu-bf16, cuda")
        parser.add_argument("--minutes", type=float, default=60.0, help="wall time of the step, over all its runs")
        parser.add_argument("--session", type=float, default=float("inf"), help="minutes after which this run stops")
        parser.add_argument("--steps", type=int, help="optimiser steps, if sooner than the minutes")
        parser.add_argument("--size", default="small", help="tiny or small")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--workers", type=int, default=1, help="processes, where a step can use several")
        parser.add_argument("--count", type=int, default=count, help="how many to make")
        return cls(**vars(parser.parse_args(arguments)))
