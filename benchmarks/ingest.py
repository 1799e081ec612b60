"""Loading Parquet against DuckDB copying the same file: `python benchmarks/ingest.py [ROWS]`; target >= 0.5x.

The load is without the guard, which benchmarks/guard.py measures.
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

from hanzo_reports import store
from hanzo_reports.ingest.load import ingest

TARGET = 0.5
ROUNDS = 3


def copying(source: Path, target: Path) -> float:
    """Seconds for a plain copy into one Parquet file."""
    con = duckdb.connect()
    start = time.perf_counter()
    con.execute(f"COPY (FROM '{source}') TO '{target}' (FORMAT parquet)")
    seconds = time.perf_counter() - start
    con.close()
    return seconds


def loading(source: Path, folder: Path, rows: int) -> float:
    """Seconds for a load into a new store."""
    held = store.open(str(folder), create=True)
    start = time.perf_counter()
    loaded = ingest(held, "events", [source], now=datetime(2025, 7, 1, tzinfo=UTC), suite="")
    seconds = time.perf_counter() - start
    if loaded.accepted != rows:
        sys.exit(f"loaded {loaded.accepted} of {rows} rows")
    return seconds


def main(rows: int) -> int:
    """Both, in turns; the exit code says whether the target is met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "events.parquet", rows)
        copies, loads = [], []
        for number in range(ROUNDS):
            copies.append(copying(folder / "events.parquet", folder / "copy.parquet"))
            loads.append(loading(folder / "events.parquet", folder / f"lake{number}", rows))
    ratio = statistics.median(copies) / statistics.median(loads)
    print(f"{rows:,} rows: copy {min(copies):.2f}-{max(copies):.2f} s, load {min(loads):.2f}-{max(loads):.2f} s")
    print(f"ingest of Parquet: {ratio:.2f}x the speed of a DuckDB copy (target >= {TARGET}x)")
    return int(ratio < TARGET)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
