"""Processes that append the same rows to one store at once, some of which die."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROWS = 20_000
WRITER = Path(__file__).parent / "store/writer.py"


def start_writer(url: str, behaviour: str = "lives") -> subprocess.Popen[str]:
    """Start a process that waits for a line and then appends the same rows as all others."""
    command = [sys.executable, WRITER, url, str(ROWS), behaviour]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def release_writers(*processes: subprocess.Popen[str]) -> None:
    """Let all of them append at once, when each is ready."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def count_events(store) -> int:
    """Count the events of a store."""
    return store.events().count().to_pyarrow().as_py()
