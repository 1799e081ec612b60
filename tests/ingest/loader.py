"""A process that loads `python loader.py LAKE FILE NOW` once a line comes in."""

import sys
from datetime import datetime
from pathlib import Path

from hanzo_reports import store
from hanzo_reports.ingest.load import ingest

url, path, now = sys.argv[1:]
lake = store.open(url)
lake.events().count().to_pyarrow()
sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
ingest(lake, "events", [Path(path)], now=datetime.fromisoformat(now))
