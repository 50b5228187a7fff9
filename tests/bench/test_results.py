import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench.figures import Figures
from bench.plot import plot
from bench.points import Closed, Open
from bench.results import BASELINE, OURS, Results
from bench.tables import tables


def figures(ttfa: float, reply_rate: float = 2.0) -> Figures:
    return Figures(
        replies=8,
        turned_away=3,
        failed={"500": 1},
        ttfa_p50=ttfa,
        ttfa_p95=2 * ttfa,
        server_ttfb_p95=ttfa,
        underrun_p50=0.0,
        underrun_p95=0.01,
        underrun_worst=0.02,
        continuity=1.0,
        audio_rate=6.0,
        reply_rate=reply_rate,
        cpu={"llm": ttfa},
        calls={"llm": 0.01},
        rss_bytes={"llm": 2.0**20},
    )


@pytest.fixture
def results() -> Results:
    made = Results({"cores": 2})
    made.add(Closed(1), {OURS: figures(0.1), BASELINE: figures(0.4)})
    made.add(Closed(8), {OURS: figures(0.2, reply_rate=5.0), BASELINE: figures(4.0)})
    made.add(Open(0.9, 4.5), {OURS: figures(0.3)})
    return made


def test_capacity_is_the_best_of_our_closed_loops(results: Results) -> None:
    assert results.capacity == 5.0


def test_ratio_stands_beside_ours_where_the_baseline_ran(results: Results) -> None:
    assert [row.ratios.get("ttfa_p50") for row in results.rows] == [0.25, None, 0.05, None, None]


def test_file_holds_every_figure(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "bench.json")
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert [row["point"] for row in rows[::2]] == [{"streams": 1}, {"streams": 8}, {"share": 0.9, "rate": 4.5}]
    assert rows[0]["figures"]["cpu"] == {"llm": 0.1}


def test_tables_show_errors_by_their_reason(results: Results) -> None:
    written = io.StringIO()
    Console(width=140, file=written).print(tables(results))
    text = written.getvalue()
    assert "baseline, 8 streams: 1 x 500" in text
    assert "0.9 x capacity" in text


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_picture_is_drawn_in_the_format_of_its_ending(results: Results, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"bench.{ending}"
    plot(results, path)
    assert {"svg": b"<svg", "png": b"\x89PNG"}[ending] in path.read_bytes()[:1000]
