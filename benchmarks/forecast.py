"""1,000 forecasts with intervals, and how good they are: `python benchmarks/forecast.py [CHART.svg]`.

Speed: 1,000 projects with 180 days each, budgets and daily paths included, on one core; target <= 3 s, and beside it
how many times as long as run-rate arithmetic. Time is that of all cores together. Quality: the rolling-origin backtest
on the public series of the package; targets: steady series within 10 % on day 10, mean error over days 5 to 20 at most
0.9 times the run rate's, and the 80 % interval covering 75 to 92 %.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from hanzo_reports.forecast import Panel, forecasts
from hanzo_reports.forecast.backtest import backtest, public_series

LIMIT = Decimal(3000)
PROJECTS, HISTORY, SECONDS, ROUNDS = 1000, 180, 3.0, 5
WAPE, RATIO, COVERAGE = 0.10, 0.90, (0.75, 0.92)
DAYS = (5, 10, 15, 20)


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
    """Whether the target of time is met."""
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
    print(f"{PROJECTS:,} forecasts with intervals and paths: {took:.2f} s on one core (target <= {SECONDS} s)")
    print(f"that is {took / statistics.median(theirs):,.0f}x run-rate arithmetic, which knows no interval")
    return took <= SECONDS


def quality(chart: Path | None) -> bool:
    """Whether the targets of error and coverage are met; all numbers are printed."""
    rows = backtest(public_series(), DAYS)
    found = {(row["class"], row["day"], row["method"]): row for row in rows}
    for row in rows:
        coverage = "" if row["coverage_80"] is None else f", interval covers {row['coverage_80']:.0%}"
        print(
            f"{row['class']:>6} day {row['day']:>2} {row['method']:>14}: WAPE {row['wape']:.1%}, "
            f"bias {row['bias']:+.1%}, Brier {row['brier']:.3f}{coverage} ({row['forecasts']} forecasts)"
        )

    def mean(method: str, what: str) -> float:
        return statistics.mean(found["steady", day, method][what] for day in DAYS)

    tenth = found["steady", 10, "forecast"]["wape"]
    ratio, coverage = mean("forecast", "wape") / mean("run_rate", "wape"), mean("forecast", "coverage_80")
    print(f"steady series on day 10: {tenth:.1%} off (target <= {WAPE:.0%})")
    print(f"mean error over days 5 to 20: {ratio:.2f}x the run rate's (target <= {RATIO}x)")
    print(f"the 80 % interval covers {coverage:.0%} (target {COVERAGE[0]:.0%} to {COVERAGE[1]:.0%})")
    if chart is not None:
        from hanzo_reports.reports.errors_chart import write_errors_chart  # noqa: PLC0415  # slow to load

        write_errors_chart(rows, chart)
    return tenth <= WAPE and ratio <= RATIO and COVERAGE[0] <= coverage <= COVERAGE[1]


if __name__ == "__main__":
    met = [speed(), quality(Path(sys.argv[1]) if len(sys.argv) > 1 else None)]
    sys.exit(int(not all(met)))
