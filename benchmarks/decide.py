"""10,000 decisions on a hard limit, in process: `python benchmarks/decide.py [CALLS]`; target p99 <= 10 ms.

Each sets an amount aside in a SQLite file on disk. Beside it the price of one commit there, as that is what it costs at
the least.
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
from hanzo_reports.budgets.budget import Budget, Budgets
from hanzo_reports.budgets.decision import decision
from hanzo_reports.state.database import open_sqlite_state

CALLS, TARGET = 10_000, 10.0  # milliseconds


def main(calls: int) -> int:
    """Decisions and bare commits; the exit code says whether the target is met."""
    now = datetime(2025, 7, 10, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as name:
        held = hr.open(str(Path(name) / "lake"), now=now, create=True).store
        budgets = Budgets(held.state)
        budgets.set(Budget("search", Decimal(calls), on_exceed="hard_limit"), now)
        took, worked, allowed = [], [], 0
        for number in range(calls):
            start, busy = time.perf_counter(), time.process_time()
            allowed += decision(budgets, held, "search", "1.25", event_id=f"r{number}", now=now).allowed
            took.append(1000 * (time.perf_counter() - start))
            worked.append(1000 * (time.process_time() - busy))
        if allowed != calls * 4 // 5:
            sys.exit(f"{allowed} allowed of {calls}, {calls * 4 // 5} fit")
        bare, engine = [], open_sqlite_state(Path(name) / "bare.db")
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE t (n INTEGER)"))
        for number in range(calls // 10):
            start = time.perf_counter()
            with engine.begin() as connection:
                connection.execute(sqlalchemy.text("INSERT INTO t VALUES (:n)"), {"n": number})
            bare.append(1000 * (time.perf_counter() - start))
        engine.dispose()
    middle, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    print(f"{calls:,} decisions, {allowed:,} allowed: median {middle:.2f} ms, p99 {p99:.2f} ms (target <= {TARGET} ms)")
    print(f"of which this process worked: p99 {statistics.quantiles(worked, n=100)[98]:.2f} ms; the rest it waited")
    print(f"median decision: {middle / statistics.median(bare):.1f}x a commit of one row in SQLite")
    return int(p99 > TARGET)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS))
