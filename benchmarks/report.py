"""The dashboard against papermill on an empty notebook: `python benchmarks/report.py`; target <= 2x.

Both run in processes of their own, as a schedule would start them; the dashboard on the demo's events.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

TARGET = 2
ROUNDS = 5
COMMAND = str(Path(sys.executable).with_name("hanzo-reports"))


def seconds(*command: str) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # ours
    return time.perf_counter() - start


def main() -> int:
    """Both, in turns; the exit code says whether the target is met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = ("--store", str(folder / "warehouse"))
        seconds(COMMAND, *store, "demo", "--only-data")
        empty = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        nbformat.write(empty, folder / "empty.ipynb")
        nothing, dashboards = [], []
        for number in range(ROUNDS):
            nothing.append(
                seconds(sys.executable, "-m", "papermill", str(folder / "empty.ipynb"), str(folder / f"{number}.ipynb"))
            )
            dashboards.append(seconds(COMMAND, *store, "report", "run", "dashboard", "--out", str(folder / "reports")))
    ratio = statistics.median(dashboards) / statistics.median(nothing)
    print(f"papermill, empty {statistics.median(nothing):.2f} s, dashboard {statistics.median(dashboards):.2f} s")
    print(f"dashboard run: {ratio:.2f}x papermill on an empty notebook (target <= {TARGET}x)")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main())
