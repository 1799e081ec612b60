"""Load a folder of logs, then make the dashboard: `python pipelines/nightly.py SOURCE FOLDER`.

Any scheduler can call it, as often as it likes: what is loaded already is skipped, and a report that is there already
is not made again. The store is the one of HANZO_REPORTS_STORE, else ./warehouse.
"""

from __future__ import annotations

import os
import sys

import hanzo_reports as hr


def main(source: str, folder: str) -> int:
    """The load and the report; the exit code is that of the first thing that fails."""
    try:
        workspace = hr.open(os.environ.get("HANZO_REPORTS_STORE", "./warehouse"), create=True)
        loaded = workspace.ingest(source, [folder])
        print(f"{loaded.accepted} new events, {loaded.duplicates} known, {loaded.quarantined} in quarantine")
        print(workspace.report("dashboard", if_missing=True).page)
    except hr.ReportsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004  # the script, the source, the folder
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
