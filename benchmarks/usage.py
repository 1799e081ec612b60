"""A question against the same SQL by hand: `python benchmarks/usage.py [ROWS]`; target <= 1.2x the time.

Usage by model and project over 7 of 30 days, on the files of a store; by hand, DuckDB is given just the files of
those days.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from events import ROWS, write

import hanzo_reports as hr

TARGET = 1.2
ROUNDS = 9
RANGE = "2025-06-10..2025-06-16"
_BY_HAND = """
    SELECT model, project, count(*) AS requests, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(input_tokens + output_tokens) AS tokens, sum(cost) AS cost
    FROM read_parquet({files})
    WHERE timestamp >= TIMESTAMPTZ '2025-06-10 00:00:00+00' AND timestamp < TIMESTAMPTZ '2025-06-17 00:00:00+00'
    GROUP BY model, project ORDER BY requests DESC, model, project
"""


def asked(workspace: hr.Workspace) -> tuple[float, int]:
    """Seconds for the question and the rows of its answer."""
    start = time.perf_counter()
    rows = workspace.usage(RANGE, by=["model", "project"]).to_pyarrow().num_rows
    return time.perf_counter() - start, rows


def by_hand(files: list[str]) -> tuple[float, int]:
    """Seconds for the SQL and the rows of its answer."""
    start = time.perf_counter()
    rows = duckdb.connect().execute(_BY_HAND.format(files=files)).to_arrow_table().num_rows
    return time.perf_counter() - start, rows


def main(rows: int) -> int:
    """Both, in turns; the exit code says whether the target is met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "events.parquet", rows)
        workspace = hr.open(str(folder / "lake"), now=datetime(2025, 7, 1, tzinfo=UTC), create=True)
        workspace.ingest("events", [folder / "events.parquet"])
        files = [str(path) for day in range(10, 17) for path in (folder / "lake/events").glob(f"day=2025-06-{day}/*")]
        ours, hand = [], []
        for _ in range(ROUNDS):
            (by, expected), (seconds, found) = by_hand(files), asked(workspace)
            if not expected == found > 0:
                sys.exit(f"{found} rows, by hand {expected}")
            hand.append(by)
            ours.append(seconds)
    ratio = statistics.median(ours) / statistics.median(hand)
    print(f"{rows:,} events: by hand {statistics.median(hand):.3f} s, usage() {statistics.median(ours):.3f} s")
    print(f"usage by model and project over 7 days: {ratio:.2f}x SQL by hand (target <= {TARGET}x)")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
