"""`hanzo-reports --help` against `python -c pass`: `python benchmarks/command.py`; target <= 6x."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGET = 6
ROUNDS = 15


def seconds(command: list[str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # ours
    return time.perf_counter() - start


def main() -> int:
    """Both, in turns; the exit code says whether the target is met."""
    nothing, help_ = [], []
    for _ in range(ROUNDS):
        nothing.append(seconds([sys.executable, "-c", "pass"]))
        help_.append(seconds([str(Path(sys.executable).with_name("hanzo-reports")), "--help"]))
    ratio = statistics.median(help_) / statistics.median(nothing)
    print(f"python -c pass {min(nothing) * 1000:.0f} ms, hanzo-reports --help {min(help_) * 1000:.0f} ms")
    print(f"--help: {ratio:.1f}x an empty Python (target <= {TARGET}x)")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main())
