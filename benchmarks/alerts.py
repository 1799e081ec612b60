"""A pass of 1,000 rules over 30 groups against its queries alone: `python benchmarks/alerts.py [ROWS]`; target <= 2x.

The queries are those of the pass, run on their own: one for each distinct window, filter and set of groups, however
many rules share it. Some rules fire, most do not. Passes follow each other as in `check --watch`; the median counts.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from events import write

import hanzo_reports as hr
from hanzo_reports.alerts import rule_store
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.query import collect_queries, run_queries
from hanzo_reports.alerts.rule_check import RuleCheck, check_rules

if TYPE_CHECKING:
    from hanzo_reports.alerts.rule import Rule

ROWS = 2_000_000
TARGET = 2.0
ROUNDS = 7
RULES = 1000
NOW = datetime(2025, 6, 30, 18, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_WINDOWS = ("5m", "15m", "1h", "6h", "1d")
_METRICS = {  # a threshold that nothing reaches, and one that everything does
    "error_rate": ("1%", "0%"),
    "latency_p99": ("2000", "1"),
    "latency_p50": ("990", "1"),
    "cost_per_request": ("1", "0"),
    "tokens": ("1e12", "1"),
    "cost": ("1e9", "0"),
    "saturation": ("0.9", "0"),
    "requests_per_second": ("1e6", "0"),
}


def build_rules(number: int) -> list[Rule]:
    """Rules of all windows and metrics, each with a name and a threshold of its own; one in a hundred fires."""
    rules = []
    for n in range(number):
        metric = list(_METRICS)[n % len(_METRICS)]
        threshold = _METRICS[metric][n % 100 == 1]
        window = _WINDOWS[n // len(_METRICS) % len(_WINDOWS)]
        rules.append(
            parse_rule(
                {"name": f"r{n}", "metric": metric, "gt": threshold, "window": window, "by": ["project", "model"]}
            )
        )
    return rules


def measure(workspace: hr.Workspace, number: int) -> tuple[float, float, RuleCheck]:
    """Seconds of the queries alone and of whole passes, in turns, and what the last pass did."""
    engine, events = workspace.store.state, workspace.store.events
    rules = build_rules(number)
    with engine.begin() as connection:
        rule_store.save_rules(connection, [(rule, ()) for rule in rules], NOW, replace_existing=True)
    alone, whole = [], []
    result = RuleCheck()
    for round_ in range(ROUNDS):
        now = NOW + (round_ + 1 + ROUNDS * (number == RULES)) * MINUTE
        start = time.perf_counter()
        run_queries(events, collect_queries(rules), now, MINUTE, "UTC")
        alone.append(time.perf_counter() - start)
        start = time.perf_counter()
        result = check_rules(engine, events, now)
        whole.append(time.perf_counter() - start)
    return statistics.median(alone), statistics.median(whole), result


def main(rows: int) -> int:
    """Few rules, then a thousand; the exit code says whether the targets are met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "events.parquet", rows)
        workspace = hr.open(str(folder / "lake"), now=NOW, create=True)
        workspace.ingest("events", [folder / "events.parquet"])
        _, _, few = measure(workspace, len(_METRICS) * len(_WINDOWS))
        alone, whole, many = measure(workspace, RULES)
    ratio = whole / alone
    print(f"{rows:,} events: {few.rules} rules take {few.queries} queries, {many.rules:,} rules {many.queries}")
    print(f"{many.firing} alerts fire; queries alone {alone:.3f} s, the pass {whole:.3f} s")
    print(f"a pass of {many.rules:,} rules over 30 groups: {ratio:.2f}x its queries alone (target <= {TARGET}x)")
    return int(ratio > TARGET or few.queries != many.queries or not many.firing)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
