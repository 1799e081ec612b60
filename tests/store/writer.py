"""A process that appends `python writer.py LAKE ROWS BEHAVIOUR` the same rows as its siblings, and may die of it."""

import os
import signal
import sys

import duckdb
import ibis

from hanzo_reports import store
from hanzo_reports.events import SCHEMA
from hanzo_reports.store.delta_files import DeltaFiles
from hanzo_reports.store.duckdb_session import connect_ibis

url, rows, behaviour = sys.argv[1:]
commit = DeltaFiles._commit  # noqa: SLF001  # the moment to die at


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if behaviour == "dies before the commit":
    DeltaFiles._commit = die  # noqa: SLF001
elif behaviour == "dies after the commit":
    DeltaFiles._commit = lambda *arguments: die(commit(*arguments))  # noqa: SLF001

numbers = connect_ibis(duckdb.connect()).sql(f"SELECT i FROM range({int(rows)}) AS numbers(i)")  # a number
known = {
    "event_id": numbers.i.cast("string"),
    "timestamp": ibis.timestamp("2025-06-01T00:00:00+00:00") + numbers.i.as_interval("m"),
    "service": ibis.literal("gateway"),
    "project": ibis.literal("search"),
    "status": ibis.literal(200, "int16"),
    "ingested_at": ibis.timestamp("2025-07-01T00:00:00+00:00"),
}
events = numbers.select(**{name: known[name] if name in known else ibis.null(dtype) for name, dtype in SCHEMA.items()})
new_store = store.open(url)
sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
sys.stdout.write(f"{new_store.append(events, {}).accepted}\n")
