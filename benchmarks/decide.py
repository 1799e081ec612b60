"""10,000 decisions on a hard limit, in process: `python benchmarks/decide.py [CALLS]`; target p99 <= 10 ms.

Each reserves an amount in a SQLite file on disk. For comparison it measures the commit of one row there, which a
decision cannot be faster than.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import sqlalchemy

import hanzo_reports as hr
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.budget_store import Budgets
from hanzo_reports.budgets.decision import decide
from hanzo_reports.state.database import open_sqlite_state

CALLS = 10_000
TARGET_MS = 10.0


def main(calls: int) -> int:
    """Measure decisions and single commits; return 1 if the target is missed."""
    now = datetime(2025, 7, 10, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as name:
        store = hr.open(str(Path(name) / "lake"), now=now, create=True).store
        budgets = Budgets(store.state)
        budgets.set(Budget("search", Decimal(calls), on_exceed="hard_limit"), now)
        durations, cpu_times, allowed = [], [], 0
        for number in range(calls):
            start, cpu_start = time.perf_counter(), time.process_time()
            allowed += decide(budgets, store, "search", "1.25", event_id=f"r{number}", now=now).allowed
            durations.append(1000 * (time.perf_counter() - start))
            cpu_times.append(1000 * (time.process_time() - cpu_start))
        if allowed != calls * 4 // 5:
            sys.exit(f"{allowed} of {calls} requests were allowed, not {calls * 4 // 5}")
        commits, engine = [], open_sqlite_state(Path(name) / "commits.db")
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE t (n INTEGER)"))
        for number in range(calls // 10):
            start = time.perf_counter()
            with engine.begin() as connection:
                connection.execute(sqlalchemy.text("INSERT INTO t VALUES (:n)"), {"n": number})
            commits.append(1000 * (time.perf_counter() - start))
        engine.dispose()
    median, p99 = statistics.median(durations), statistics.quantiles(durations, n=100)[98]
    print(f"{calls:,} decisions, {allowed:,} allowed")
    print(f"median {median:.2f} ms, p99 {p99:.2f} ms (target <= {TARGET_MS} ms)")
    print(f"CPU time: p99 {statistics.quantiles(cpu_times, n=100)[98]:.2f} ms")
    print(f"median decision: {median / statistics.median(commits):.1f}x a commit of one row in SQLite")
    return int(p99 > TARGET_MS)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS))
