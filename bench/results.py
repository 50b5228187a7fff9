"""All that a benchmark has measured, as it is shown, plotted and kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.figures import Figures, ratios
from bench.points import Closed, Open, Point

OURS, BASELINE = "voxline", "baseline"
_MANY = 8


@dataclass(frozen=True)
class Row:
    """A system under a load. `ratios`: to the baseline under the same load, by figure; empty without one."""

    system: str
    point: Point
    figures: Figures
    ratios: dict[str, float]


@dataclass
class Results:
    """`machine` says what it ran on."""

    machine: dict[str, object]
    rows: list[Row] = field(default_factory=list)
    floors: dict[str, float] = field(default_factory=dict)
    gateway: dict[str, float] = field(default_factory=dict)

    def add(self, point: Point, by_system: Mapping[str, Figures]) -> None:
        baseline = by_system.get(BASELINE)
        for name, figures in by_system.items():
            against = ratios(figures, baseline) if baseline and name != BASELINE else {}
            self.rows.append(Row(name, point, figures, against))

    def closed(self, system: str) -> Sequence[tuple[Closed, Figures]]:
        return [(row.point, row.figures) for row in self.rows if row.system == system and isinstance(row.point, Closed)]

    def open(self, system: str) -> Sequence[tuple[Open, Figures]]:
        return [(row.point, row.figures) for row in self.rows if row.system == system and isinstance(row.point, Open)]

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(row.system for row in self.rows))

    @property
    def busiest(self) -> tuple[Closed, Figures]:
        """Our closed loop of 8 streams, or the one with most streams below."""
        loops = self.closed(OURS)
        return max((loop for loop in loops if loop[0].streams <= _MANY), key=_streams, default=min(loops, key=_streams))

    @property
    def capacity(self) -> float:
        """Replies a second of our best closed loop."""
        return max(figures.reply_rate for _, figures in self.closed(OURS))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def _streams(loop: tuple[Closed, Figures]) -> int:
    return loop[0].streams
