from dataclasses import replace

import pytest

from bench.figures import Figures, figures, medians, percentile, ratios
from bench.listener import Failed, Heard, Outcome, TurnedAway
from bench.load import Run
from bench.usage import Usage

HEARD: list[Outcome] = [Heard(0.1, 2.0, 0.0, server_ttfb=0.06), Heard(0.3, 3.0, 0.2, server_ttfb=0.26)]
BEFORE = Usage({"llm": 1.0}, {"llm": 5}, {"llm": 0.1})
AFTER = Usage({"llm": 3.0}, {"llm": 7}, {"llm": 0.6})
OTHERS: list[Outcome] = [TurnedAway(1.0), Failed("500"), Failed("500")]


def of(*outcomes: Outcome) -> Figures:
    return figures(Run(outcomes, 2.0), BEFORE, AFTER)


def test_figures_are_those_of_the_replies() -> None:
    found = of(*HEARD, *OTHERS)
    assert (found.replies, found.turned_away, found.failed) == (2, 1, {"500": 2})
    assert found.ttfa_p50 == pytest.approx(0.2)
    assert found.server_ttfb_p95 == pytest.approx(0.25)
    assert (found.underrun_worst, found.continuity) == (0.2, 0.5)
    assert (found.audio_rate, found.reply_rate) == (2.5, 1.0)
    assert found.cpu["llm"] == pytest.approx(0.4)
    assert found.calls["llm"] == pytest.approx(0.1)
    assert found.rss_bytes == {"llm": 7}


def test_nobody_served_is_an_error_that_says_why() -> None:
    with pytest.raises(RuntimeError, match="500"):
        of(*OTHERS)


def test_percentile_lies_between_the_nearest() -> None:
    assert percentile([4.0, 1.0, 2.0, 3.0], 50) == 2.5
    assert percentile([float(number) for number in range(101)], 95) == 95


def test_medians_are_of_each_figure_and_counts_are_summed() -> None:
    one = of(*HEARD, *OTHERS)
    runs = [replace(one, ttfa_p50=ttfa, cpu={"llm": 1 / ttfa}) for ttfa in (1.0, 4.0, 2.0)]
    found = medians(runs)
    assert (found.ttfa_p50, found.cpu) == (2.0, {"llm": 0.5})
    assert (found.replies, found.turned_away, found.failed) == (6, 3, {"500": 6})


def test_ratio_is_ours_over_theirs_where_theirs_is_not_zero() -> None:
    theirs = of(*HEARD)
    found = ratios(replace(theirs, ttfa_p50=0.05, cpu={"llm": 0.1}), replace(theirs, underrun_p50=0.0))
    assert found["ttfa_p50"] == pytest.approx(0.25)
    assert found["cpu"] == pytest.approx(0.25)
    assert "underrun_p50" not in found
