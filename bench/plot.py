"""The figures as a picture: first sound and underrun, over streams and over offered load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import Figures
from bench.results import Results

_INCHES_WIDE, _INCHES_HIGH = 11, 3.5
Systems = Mapping[str, Sequence[tuple[float, Figures]]]


@dataclass(frozen=True)
class Panel:
    """`lines`: figure -> its name in the legend and its style."""

    heading: str
    lines: Mapping[str, tuple[str, str]]


PANELS = (
    Panel("first sound, s", {"ttfa_p50": ("p50", "-"), "ttfa_p95": ("p95", "--")}),
    Panel("underrun, s", {"underrun_p95": ("p95", "--"), "underrun_worst": ("worst", ":")}),
)


def plot(results: Results, path: Path) -> None:
    """A row for each kind of load. The ending of `path` says the format: svg, png or pdf."""
    loads = {name: systems for name, systems in _loads(results).items() if any(systems.values())}
    figure = Figure((_INCHES_WIDE, _INCHES_HIGH * len(loads)), layout="constrained")
    rows = figure.subplots(len(loads), len(PANELS), squeeze=False)
    for (load, systems), row in zip(loads.items(), rows, strict=True):
        for panel, axes in zip(PANELS, row, strict=True):
            _draw(axes, panel, systems)
            axes.set_xlabel(load)
    figure.savefig(path)


def _loads(results: Results) -> dict[str, Systems]:
    return {
        "streams": {name: [(at.streams, found) for at, found in results.closed(name)] for name in results.systems},
        "offered load / capacity": {
            name: [(at.share, found) for at, found in results.open(name)] for name in results.systems
        },
    }


def _draw(axes: Axes, panel: Panel, systems: Systems) -> None:
    for place, (system, points) in enumerate(systems.items()):
        if points:
            for name, (label, style) in panel.lines.items():
                values = [getattr(figures, name) for _, figures in points]
                places = [at for at, _ in points]
                axes.plot(places, values, style, color=f"C{place}", marker="o", label=f"{system} {label}")
    axes.set_ylabel(panel.heading)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
