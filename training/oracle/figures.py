"""The table that the oracle ends with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.oracle.ears import Heard, mean
from training.oracle.foresight import Foreseen


@dataclass(frozen=True)
class Row:
    """told: the share of the variance of unseen envelopes, loudness aside, that the code tells."""

    name: str
    count: int | None
    heard: Sequence[Heard]
    told: float | None = None
    foreseen: Foreseen | None = None

    def cells(self) -> Iterator[str]:
        known, others = (mean(self.heard[first::2]) if self.heard[first::2] else None for first in (0, 1))
        every = mean(self.heard)
        yield from (self.name, str(self.count or ""), f"{self.told:.3f}" if self.told is not None else "")
        sides = " / ".join(f"{side['errors']:.3f}" for side in (known, others) if side)
        yield from (f"{every['errors']:.3f} ({sides})", f"{every['overall']:.2f}", f"{every['p808']:.2f}")
        if self.foreseen:
            yield from (f"{self.foreseen.usage:.2f}", f"{self.foreseen.entropy:.2f}", f"{self.foreseen.top1:.3f}")
        else:
            yield from ("", "", "")


HEAD = (
    *("frames from", "codes", "shape told", "word errors (known / other voices)", "DNSMOS", "P.808"),
    *("nats by use", "nats foreseen", "first guess right"),
)


def table(rows: Sequence[Row]) -> str:
    """In Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(tuple(row.cells()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
