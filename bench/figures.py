"""What a run comes to."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from bench.listener import Failed, Heard, TurnedAway
from bench.load import Run
from bench.usage import Usage

# A gap that a listener does not mind.
CONTINUOUS_SECONDS = 0.1


@dataclass(frozen=True)
class Figures:
    """Of one run, or medians of several, whose counts are then their sums. `server_ttfb`: see Heard.

    `continuity`: share of the replies with less underrun than anybody minds; `audio_rate`: audio-seconds a second;
    `reply_rate`: replies a second; `cpu`: CPU-seconds per audio-second by stage; `calls`: of them those of event
    loops and gRPC; `rss_bytes` by stage, afterwards.
    """

    replies: int
    turned_away: int
    failed: Mapping[str, int]
    ttfa_p50: float
    ttfa_p95: float
    server_ttfb_p95: float
    underrun_p50: float
    underrun_p95: float
    underrun_worst: float
    continuity: float
    audio_rate: float
    reply_rate: float
    cpu: Mapping[str, float]
    calls: Mapping[str, float]
    rss_bytes: Mapping[str, float]

    @property
    def cpu_sum(self) -> float:
        return sum(self.cpu.values())


def figures(run: Run, before: Usage, after: Usage) -> Figures:
    """Raises RuntimeError when nobody was served."""
    heard = [outcome for outcome in run.outcomes if isinstance(outcome, Heard)]
    failed = Counter(outcome.reason for outcome in run.outcomes if isinstance(outcome, Failed))
    if not heard:
        raise RuntimeError(f"no request was served: {dict(failed) or 'all were turned away'}")
    audio = sum(reply.audio for reply in heard)
    used_by_stage = {stage: after.cpu[stage] - before.cpu[stage] for stage in before.cpu}
    ttfa, underrun = [reply.ttfa for reply in heard], [reply.underrun for reply in heard]
    return Figures(
        replies=len(heard),
        turned_away=sum(isinstance(outcome, TurnedAway) for outcome in run.outcomes),
        failed=failed,
        ttfa_p50=percentile(ttfa, 50),
        ttfa_p95=percentile(ttfa, 95),
        server_ttfb_p95=percentile([reply.server_ttfb for reply in heard], 95),
        underrun_p50=percentile(underrun, 50),
        underrun_p95=percentile(underrun, 95),
        underrun_worst=max(underrun),
        continuity=sum(seconds <= CONTINUOUS_SECONDS for seconds in underrun) / len(heard),
        audio_rate=audio / run.seconds,
        reply_rate=len(heard) / run.seconds,
        cpu={stage: used / audio for stage, used in used_by_stage.items()},
        calls={stage: (after.calls[stage] - before.calls[stage]) / audio for stage in before.calls},
        rss_bytes=after.rss_bytes,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Between the two nearest, in proportion."""
    return float(np.percentile(values, percent))


def medians(runs: Sequence[Figures]) -> Figures:
    """Of every figure; counts are summed."""
    totals: Counter[str] = sum((Counter(run.failed) for run in runs), Counter())
    single = {name: statistics.median(_get(run, name) for run in runs) for name in _numbers()}
    return replace(
        runs[0],
        **single,
        replies=sum(run.replies for run in runs),
        turned_away=sum(run.turned_away for run in runs),
        failed=totals,
        cpu=_median_by_stage(runs, lambda run: run.cpu),
        calls=_median_by_stage(runs, lambda run: run.calls),
        rss_bytes=_median_by_stage(runs, lambda run: run.rss_bytes),
    )


def ratios(ours: Figures, theirs: Figures) -> dict[str, float]:
    """Ours over theirs, of every figure where theirs is not zero; `cpu` is of the sums."""
    pairs = {name: (_get(ours, name), _get(theirs, name)) for name in _numbers()}
    pairs["cpu"] = (ours.cpu_sum, theirs.cpu_sum)
    return {name: our / their for name, (our, their) in pairs.items() if their}


def _numbers() -> list[str]:
    return [field.name for field in fields(Figures) if field.type is float]


def _get(run: Figures, name: str) -> float:
    value = getattr(run, name)
    assert isinstance(value, float)
    return value


def _median_by_stage(runs: Sequence[Figures], part: Callable[[Figures], Mapping[str, float]]) -> dict[str, float]:
    return {stage: statistics.median(part(run)[stage] for run in runs) for stage in part(runs[0])}
