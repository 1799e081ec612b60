"""1,000 forecasts with intervals, and how good they are: `python benchmarks/forecast.py [CHART.svg]`.

Speed: 1,000 projects with 180 days each, budgets and daily paths included, on one core; target <= 3 s, and beside it
how many times as long as run-rate arithmetic. Time is that of all cores together. Quality: the rolling-origin backtest
on the public series of the package. Gates: on day 10 of a period steady series are at most 10 % off, and at most 0.85
times as far as the run rate; the 80 % interval covers 75 to 92 % in every class; scaling all inputs scales all outputs
to 1e-6. Each is printed with `met` or `MISSED`; any that is missed is exit code 1. docs/forecast.md says which is.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from hanzo_reports.forecast import Panel, forecasts
from hanzo_reports.forecast.backtest import DAYS, backtest, public_series
from hanzo_reports.forecast.model import BURSTS

LIMIT = Decimal(3000)
PROJECTS, HISTORY, SECONDS, ROUNDS = 1000, 180, 3.0, 5
WAPE, RATIO, COVERAGE, SCALING = 0.10, 0.85, (0.75, 0.92), 1e-6
FACTOR = 1000.0


def gate(said: str, *, met: bool) -> bool:
    """Whether a gate is met, printed."""
    print(f"{'met   ' if met else 'MISSED'} {said}")
    return met


def panel() -> Panel:
    """Made-up spend of a thousand projects, some steady, some bursty."""
    now, chance = datetime(2025, 6, 16, tzinfo=UTC), np.random.default_rng(1)
    shape = chance.uniform(0.3, 20, (PROJECTS, 1))
    amounts = chance.gamma(shape, 100 / shape, (PROJECTS, HISTORY + 1))
    amounts[:, -1] = 0
    spent = [Decimal(repr(float(value))) for value in amounts[:, -16:].sum(1)]
    keys = [(f"project-{number}",) for number in range(PROJECTS)]
    return Panel(("project",), keys, date(2025, 6, 16) - timedelta(days=HISTORY), amounts, spent, now, now, "UTC")


def run_rate(spend: Panel) -> list[tuple[Decimal, bool]]:
    """What run-rate arithmetic says of each project: the month's end, and whether it passes the limit."""
    ends = [paid / 15 * 30 for paid in spend.spent]
    return [(end, end > LIMIT) for end in ends]


def speed() -> bool:
    """Whether the gate of time is met."""
    spend, limits = panel(), [LIMIT] * PROJECTS
    ours, theirs = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        made = forecasts(spend, limits)
        ours.append(time.process_time() - start)
        start = time.process_time()
        run_rate(spend)
        theirs.append(time.process_time() - start)
    if not all(told.p10 is not None and told.path for told in made):
        sys.exit("a forecast has no interval")
    took = statistics.median(ours)
    print(f"{took / statistics.median(theirs):,.0f}x run-rate arithmetic, which knows no interval")
    said = f"{PROJECTS:,} forecasts with intervals and paths: {took:.2f} s on one core (gate <= {SECONDS} s)"
    return gate(said, met=took <= SECONDS)


def scaling() -> bool:
    """Whether a thousand times the spend gives a thousand times each forecast."""
    spend = panel()
    more = replace(spend, amounts=spend.amounts * FACTOR, spent=[paid * Decimal(FACTOR) for paid in spend.spent])
    off = max(
        abs(float(getattr(other, name)) / (float(getattr(one, name)) * FACTOR) - 1)
        for one, other in zip(forecasts(spend), forecasts(more), strict=True)
        for name in ("p10", "p50", "p90", "low", "high")
    )
    return gate(f"scaling all inputs scales all outputs to {off:.0e} (gate <= {SCALING:.0e})", met=off <= SCALING)


def quality(chart: Path | None) -> bool:
    """Whether the gates of error and coverage are met; all numbers are printed."""
    rows = backtest(public_series(), DAYS)
    found = {(row["class"], row["day"], row["method"]): row for row in rows}
    for row in rows:
        coverage = "" if row["coverage_80"] is None else f", interval covers {row['coverage_80']:.0%}"
        print(
            f"{row['class']:>6} day {row['day']:>2} {row['method']:>14}: WAPE {row['wape']:.1%}, "
            f"bias {row['bias']:+.1%}, Brier {row['brier']:.3f}{coverage} ({row['forecasts']} forecasts)"
        )

    ours, theirs = (found["steady", 10, method]["wape"] for method in ("forecast", "run_rate"))
    met = [
        gate(f"steady series on day 10: {ours:.1%} off (gate <= {WAPE:.0%})", met=ours <= WAPE),
        gate(f"that is {ours / theirs:.2f}x the run rate's error (gate <= {RATIO}x)", met=ours / theirs <= RATIO),
    ]
    for burst in BURSTS:
        covered = statistics.mean(found[burst, day, "forecast"]["coverage_80"] for day in DAYS)
        said = f"{burst}: the 80 % interval covers {covered:.1%} (gate {COVERAGE[0]:.0%} to {COVERAGE[1]:.0%})"
        met.append(gate(said, met=COVERAGE[0] <= covered <= COVERAGE[1]))
    if chart is not None:
        from hanzo_reports.html.backtest_chart import write_backtest_chart  # noqa: PLC0415  # slow to load

        write_backtest_chart(rows, chart)
    return all(met)


if __name__ == "__main__":
    met = [speed(), scaling(), quality(Path(sys.argv[1]) if len(sys.argv) > 1 else None)]
    sys.exit(int(not all(met)))
