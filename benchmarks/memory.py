"""Peak memory of loading JSON lines: `python benchmarks/memory.py [ROWS]`; target <= 1.5 GiB for 5 M rows."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from events import ROWS, write

TARGET_MIB = 1536
_LOAD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from hanzo_reports import store
from hanzo_reports.ingest.load import ingest

path, folder = sys.argv[1:]
print(ingest(store.open(folder, create=True), "events", [Path(path)], now=datetime(2025, 7, 1, tzinfo=UTC)).accepted)
"""


def main(rows: int) -> int:
    """One load in a process of its own; the exit code says whether the target is met."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "events.jsonl")
        write(path, rows)
        start = time.perf_counter()
        command = [sys.executable, "-c", _LOAD, str(path), str(Path(name, "lake"))]
        accepted = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603  # ours
        seconds = time.perf_counter() - start
    if accepted != rows:
        sys.exit(f"loaded {accepted} of {rows} rows")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{rows:,} JSON lines in {seconds:.0f} s, peak memory {peak:.0f} MiB (target <= {TARGET_MIB} MiB)")
    print(f"memory: {peak / TARGET_MIB:.2f}x of the target")
    return int(peak > TARGET_MIB)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
