"""Loads logs, checks them, runs the dashboard, evaluates alerts: `python pipelines/nightly.py SOURCE FOLDER`.

Any scheduler can call it, as often as it likes: files that are loaded already are skipped, and the day's report, which
ends at midnight UTC, runs again only if there is new data in it. The store is HANZO_REPORTS_STORE, else ./warehouse.
A step that fails does not prevent the next ones: a page itself says that its data cannot be trusted. The exit code is
the first that is not 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("hanzo-reports"))


def main(source: str, folder: str) -> int:
    """Runs the steps in order, each in its own process; returns the first exit code that is not 0."""
    codes = []
    store = os.environ.get("HANZO_REPORTS_STORE", "./warehouse")
    steps = (
        ("ingest", source, folder),
        ("guard", "daily"),
        ("report", "run", "dashboard", "--if-missing", "-p", f"window_end={datetime.now(UTC).date()}"),
        ("check", "--interval", "1d"),  # a rule with `for` fires on its second bad night
    )
    for step in steps:
        print(f"-- hanzo-reports {' '.join(step)}", file=sys.stderr)
        environment = os.environ | {"HANZO_REPORTS_STORE": store}
        codes.append(subprocess.run([COMMAND, *step], check=False, env=environment).returncode)  # noqa: S603  # ours
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004  # the script, the source, the folder
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
