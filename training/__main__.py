"""Make the voice: every step in its turn, each with its share of --minutes. Run again, it goes on where it stopped."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.options import NOT_DONE, Options


@dataclass(frozen=True)
class Step:
    """share: of the whole time; the steps of what only takes what it takes have none."""

    name: str
    share: float = 0.0
    counted: bool = False


TEXT, CORPUS = Step("text", counted=True), Step("corpus", counted=True)
# Two steps at a time fill a GPU, or two cores, better than one.
GROUPS = (
    *((TEXT,), (CORPUS,), (Step("contents"),), (Step("codec", 0.15), Step("phones", 0.1)), (Step("tokens"),)),
    *((Step("hearing", 0.25), Step("llm", 0.25)), (Step("wave", 0.6),), (Step("export"),)),
    # The card holds the figures.
    *((Step("evaluate"),), (Step("export"),)),
)


def main(options: Options) -> bool:
    """Returns whether the voice is made; False where the session ended before. Raises CalledProcessError."""
    begun = time.monotonic()
    for group in GROUPS:
        session = options.session - (time.monotonic() - begun) / 60
        if session <= 0 or not run(group, options, session):
            return False
    return True


def run(group: Sequence[Step], options: Options, session: float) -> bool:
    """At the same time. Returns whether all are done."""
    commands = [list(_command(step, options, session)) for step in group]
    processes = [subprocess.Popen(command) for command in commands]
    codes = [process.wait() for process in processes]
    for command, code in zip(commands, codes, strict=True):
        if code not in (0, NOT_DONE):
            raise subprocess.CalledProcessError(code, command)
    return NOT_DONE not in codes


def _command(step: Step, options: Options, session: float) -> Iterator[str]:
    yield from (sys.executable, "-m", f"training.{step.name}")
    yield from ("--data", str(options.data), "--out", str(options.out), "--device", options.device)
    yield from ("--size", options.size, "--seed", str(options.seed), "--workers", str(options.workers))
    yield from ("--minutes", str(step.share * options.minutes or options.minutes), "--session", str(session))
    if options.steps is not None:
        yield from ("--steps", str(options.steps))
    if step.counted and options.count:
        yield from ("--count", str(options.count))


if __name__ == "__main__":
    sys.exit(0 if main(Options.parse(__doc__)) else NOT_DONE)
