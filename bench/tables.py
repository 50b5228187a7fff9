"""Results on a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bench.figures import Figures
from bench.results import BASELINE, Results, Row

_MIB = 2**20
# Heading -> the figure of a ratio.
_RATIOS = {
    "ttfa p50": "ttfa_p50",
    "ttfa p95": "ttfa_p95",
    "audio-s/s": "audio_rate",
    "CPU-s per audio-s": "cpu",
    "underrun worst": "underrun_worst",
}


def tables(results: Results) -> Group:
    parts = [_listeners(results.rows), _stages(results.rows)]
    if any(row.ratios for row in results.rows):
        parts.append(_ratios(results.rows))
    for title, numbers in (("floors", results.floors), ("gateway", results.gateway)):
        if numbers:
            parts.append(_numbers(title, numbers))
    return Group(*parts, *(Text(note) for note in _notes(results.rows)))


def _listeners(rows: Sequence[Row]) -> Table:
    table = Table(
        title="what listeners hear: seconds to the first sound, seconds of underrun, share with at most .1 s of it"
    )
    headings = (
        "ttfa p50",
        "p95",
        "underrun p50",
        "p95",
        "worst",
        "continuity",
        "audio-s/s",
        "replies",
        "429",
        "errors",
    )
    for heading in ("", "system", *headings):
        table.add_column(heading, justify="right")
    for row in rows:
        each = row.figures
        seconds = (each.ttfa_p50, each.ttfa_p95, each.underrun_p50, each.underrun_p95, each.underrun_worst)
        counts = (each.replies, each.turned_away, sum(each.failed.values()))
        rates = (f"{each.continuity:.3f}", f"{each.audio_rate:.2f}")
        table.add_row(str(row.point), row.system, *(f"{one:.3f}" for one in seconds), *rates, *map(str, counts))
    return table


def _stages(rows: Sequence[Row]) -> Table:
    table = Table(title="what the stages use: CPU-seconds per audio-second / MiB")
    stages = list(dict.fromkeys(stage for row in rows for stage in row.figures.cpu))
    for heading in ("", "system", "all", *stages):
        table.add_column(heading, justify="right")
    for row in rows:
        each = row.figures
        total = _used(each.cpu_sum, sum(each.rss_bytes.values()))
        table.add_row(str(row.point), row.system, total, *(_stage(each, stage) for stage in stages))
    return table


def _stage(figures: Figures, stage: str) -> str:
    return _used(figures.cpu[stage], figures.rss_bytes[stage]) if stage in figures.cpu else ""


def _used(cpu: float, rss_bytes: float) -> str:
    return f"{cpu:.4f} / {rss_bytes / _MIB:.0f}"


def _ratios(rows: Sequence[Row]) -> Table:
    table = Table(title=f"ratio to the {BASELINE}")
    for heading in ("", *_RATIOS):
        table.add_column(heading, justify="right")
    for row in rows:
        if row.ratios:
            values = (row.ratios.get(name) for name in _RATIOS.values())
            table.add_row(str(row.point), *("-" if value is None else f"{value:.3f}" for value in values))
    return table


def _numbers(title: str, numbers: dict[str, float]) -> Table:
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in numbers.items():
        table.add_row(name, f"{value:.4g}")
    return table


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for reason, count in row.figures.failed.items():
            yield f"{row.system}, {row.point}: {count} x {reason}"
