"""Loading Parquet as a user does against DuckDB copying the same file: `python benchmarks/ingest.py [ROWS]`.

A load is the command `hanzo-reports ingest events FILE` as a whole process, with its default guard. Beside it stand the
same load without the guard, and the copy as a whole process as well. Target: the load as a user runs it, guard
included, at >= 0.5x the speed of the copy.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from events import ROWS, write

TARGET = 0.5
ROUNDS = 3
_COPY = "import duckdb, sys; duckdb.sql(f\"COPY (FROM '{sys.argv[1]}') TO '{sys.argv[2]}' (FORMAT parquet)\")"
_NOW = "2025-07-01T00:00:00Z"


def time_copy(source: Path, target: Path) -> float:
    """Seconds for a plain copy into one Parquet file."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", _COPY, source, target], check=True)  # noqa: S603  # ours
    return time.perf_counter() - start


def time_load(source: Path, folder: Path, rows: int, *options: str) -> float:
    """Seconds for a load into a new store."""
    command = [sys.executable, "-m", "hanzo_reports", "--store", str(folder), "--now", _NOW]
    start = time.perf_counter()
    result = subprocess.run(  # noqa: S603  # ours
        [*command, "ingest", "events", str(source), "--format", "json", *options], check=True, capture_output=True
    )
    seconds = time.perf_counter() - start
    [counts] = json.loads(result.stdout)
    accepted = counts["accepted"]
    if accepted != rows:
        sys.exit(f"loaded {accepted} of {rows} rows")
    return seconds


def main(rows: int) -> int:
    """All three, in turns; the exit code says whether the target is met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "events.parquet"
        write(source, rows)
        copies, guarded, unguarded = [], [], []
        for number in range(ROUNDS):
            copies.append(time_copy(source, folder / "copy.parquet"))
            guarded.append(time_load(source, folder / f"guarded{number}", rows))
            unguarded.append(time_load(source, folder / f"unguarded{number}", rows, "--no-guard"))
    copy, load, bare = (statistics.median(seconds) for seconds in (copies, guarded, unguarded))
    print(f"{rows:,} rows: copy {copy:.2f} s, load {load:.2f} s, without the guard {bare:.2f} s")
    print(f"ingest without the guard: {copy / bare:.2f}x the speed of a DuckDB copy")
    print(f"ingest, guard included: {copy / load:.2f}x the speed of a DuckDB copy (target >= {TARGET}x)")
    return int(copy / load < TARGET)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
