"""Processes that append the same rows to one store, all at once, some of them to die on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROWS = 20_000
WRITER = Path(__file__).parent / "store/writer.py"


def started(url: str, behaviour: str = "lives") -> subprocess.Popen[str]:
    """A process that waits for a line and then appends the rows that all others have."""
    command = [sys.executable, WRITER, url, str(ROWS), behaviour]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(*processes: subprocess.Popen[str]) -> None:
    """All of them let loose, once each has said that it is ready."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def count(held) -> int:
    """A store's events."""
    return held.events().count().to_pyarrow().as_py()
