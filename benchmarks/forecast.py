"""Speed and accuracy of forecasts: `python benchmarks/forecast.py [CHART.svg]`.

Speed: 1,000 projects of 180 days each with limits, intervals and daily paths; target <= 3 s of CPU time, compared with
run-rate arithmetic. Accuracy: the rolling-origin backtest on the public series of the package. Targets: on day 10 of a
period the error on steady series is at most 10 %, and at most 0.85 times that of the run rate; the 80 % interval covers
75 to 92 % in every class; scaling all inputs scales all outputs to 1e-6. Each target is printed with `met` or `MISSED`;
the exit code is 1 if any is missed, and docs/forecast.md says which one is.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from hanzo_reports.forecast import SpendPanel, forecast_panel
from hanzo_reports.forecast.backtest import DAYS, backtest, load_public_series
from hanzo_reports.forecast.calibration import BURST_CLASSES

LIMIT = Decimal(3000)  # USD
PROJECTS, HISTORY_DAYS, ROUNDS = 1000, 180, 5
MAX_SECONDS, MAX_WAPE, MAX_RATIO, MAX_SCALING_ERROR = 3.0, 0.10, 0.85, 1e-6
MIN_COVERAGE, MAX_COVERAGE = 0.75, 0.92
FACTOR = 1000.0


def print_target(text: str, *, met: bool) -> bool:
    """Print whether a target is met, and return it."""
    print(f"{'met   ' if met else 'MISSED'} {text}")
    return met


def generate_panel() -> SpendPanel:
    """Generate the spend of a thousand projects, some steady, some bursty."""
    now, generator = datetime(2025, 6, 16, tzinfo=UTC), np.random.default_rng(1)
    shape = generator.uniform(0.3, 20, (PROJECTS, 1))
    amounts = generator.gamma(shape, 100 / shape, (PROJECTS, HISTORY_DAYS + 1))
    amounts[:, -1] = 0
    spent = [Decimal(repr(float(value))) for value in amounts[:, -16:].sum(1)]
    keys = [(f"project-{number}",) for number in range(PROJECTS)]
    first = now.date() - timedelta(days=HISTORY_DAYS)
    return SpendPanel(("project",), keys, first, amounts, spent, now, now, "UTC")


def run_rate(spend: SpendPanel) -> list[tuple[Decimal, bool]]:
    """Compute the run rate of each project, and whether it exceeds the limit."""
    totals = [spent / 15 * 30 for spent in spend.spent]
    return [(total, total > LIMIT) for total in totals]


def measure_speed() -> bool:
    """Measure the time of all forecasts; return whether its target is met."""
    spend, limits = generate_panel(), [LIMIT] * PROJECTS
    durations, run_rate_durations = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        forecasts = forecast_panel(spend, limits)
        durations.append(time.process_time() - start)
        start = time.process_time()
        run_rate(spend)
        run_rate_durations.append(time.process_time() - start)
    if not all(forecast.p10 is not None and forecast.path for forecast in forecasts):
        sys.exit("a forecast has no interval")
    duration = statistics.median(durations)
    print(f"{duration / statistics.median(run_rate_durations):,.0f}x run-rate arithmetic, which has no interval")
    text = f"{PROJECTS:,} forecasts with intervals and paths: {duration:.2f} s of CPU time (target <= {MAX_SECONDS} s)"
    return print_target(text, met=duration <= MAX_SECONDS)


def check_scaling() -> bool:
    """Check that a thousand times the spend gives a thousand times each forecast; return whether it does."""
    spend = generate_panel()
    spent = [usd * Decimal(FACTOR) for usd in spend.spent]
    larger = replace(spend, amounts=spend.amounts * FACTOR, spent=spent)
    error = max(
        abs(float(getattr(other, name)) / (float(getattr(one, name)) * FACTOR) - 1)
        for one, other in zip(forecast_panel(spend), forecast_panel(larger), strict=True)
        for name in ("p10", "p50", "p90", "low", "high")
    )
    text = f"scaling all inputs scales all outputs to {error:.0e} (target <= {MAX_SCALING_ERROR:.0e})"
    return print_target(text, met=error <= MAX_SCALING_ERROR)


def measure_accuracy(chart: Path | None) -> bool:
    """Print the backtest; return whether the targets of error and coverage are met."""
    rows = backtest(load_public_series(), DAYS)
    scores = {(row["class"], row["day"], row["method"]): row for row in rows}
    for row in rows:
        coverage = "" if row["coverage_80"] is None else f", interval covers {row['coverage_80']:.0%}"
        print(
            f"{row['class']:>6} day {row['day']:>2} {row['method']:>14}: WAPE {row['wape']:.1%}, "
            f"bias {row['bias']:+.1%}, Brier {row['brier']:.3f}{coverage} ({row['forecasts']} forecasts)"
        )

    wape, run_rate_wape = (scores["steady", 10, method]["wape"] for method in ("forecast", "run_rate"))
    ratio = wape / run_rate_wape
    targets = [
        print_target(f"steady series on day 10: WAPE {wape:.1%} (target <= {MAX_WAPE:.0%})", met=wape <= MAX_WAPE),
        print_target(f"that is {ratio:.2f}x the run rate's (target <= {MAX_RATIO}x)", met=ratio <= MAX_RATIO),
    ]
    for burst in BURST_CLASSES:
        coverage = statistics.mean(scores[burst, day, "forecast"]["coverage_80"] for day in DAYS)
        text = f"{burst}: the 80% interval covers {coverage:.1%} (target {MIN_COVERAGE:.0%} to {MAX_COVERAGE:.0%})"
        targets.append(print_target(text, met=MIN_COVERAGE <= coverage <= MAX_COVERAGE))
    if chart is not None:
        from hanzo_reports.html.backtest_chart import write_backtest_chart  # noqa: PLC0415  # slow to load

        write_backtest_chart(rows, chart)
    return all(targets)


if __name__ == "__main__":
    chart_path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    targets_met = [measure_speed(), check_scaling(), measure_accuracy(chart_path)]
    sys.exit(int(not all(targets_met)))
