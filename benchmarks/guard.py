"""The guard against SQL by hand, its memory, and what it adds to a load: `python benchmarks/guard.py [ROWS]`.

Targets: the suite `events` over 5 M rows in <= 3x the time of one SQL statement that computes the same counts; peak
memory within 200 MiB of an idle process; a load of 100,000 rows in <= 2x the time of the load without the guard. The
import of Great Expectations is apart from all of them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from events import ROWS, write

from hanzo_reports import store
from hanzo_reports.ingest.load import ingest
from hanzo_reports.quality.guard import guard
from hanzo_reports.quality.parameters import suite_parameters
from hanzo_reports.quality.suites import load_suite
from hanzo_reports.store.duckdb_session import connect_ibis

NOW = datetime(2025, 7, 2, tzinfo=UTC)
TARGET, TARGET_MIB, TARGET_LOAD = 3.0, 200, 2.0
ROUNDS, LOADED = 3, 100_000
_TEXTS = ("event_id", "service", "project", "model")
_NUMBERS = (
    "status", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "latency_ms", "time_to_first_token_ms", "bytes_in", "bytes_out", "queue_depth", "queue_capacity", "cost",
)  # fmt: skip
_MORE = """
    count(*) FILTER (WHERE timestamp > TIMESTAMPTZ '2025-07-02 00:05:00+00'),
    count(*) FILTER (WHERE timestamp < TIMESTAMPTZ '2000-01-01 00:00:00+00'),
    count(*) FILTER (WHERE NOT regexp_matches(model, '^[!-~]+( [!-~]+)*$')),
    count(*) FILTER (WHERE status > 599), count(*) FILTER (WHERE isnan(latency_ms) OR latency_ms > 86400000),
    count(*) FILTER (WHERE isnan(time_to_first_token_ms)), count(*) FILTER (WHERE time_to_first_token_ms > latency_ms),
    count(*) FILTER (WHERE reasoning_tokens > output_tokens), count(*) FILTER (WHERE cost > 10000),
    count(*) FILTER (WHERE coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) > input_tokens),
    count(*) FILTER (WHERE output_tokens > 0 AND cost = 0), count(*) FILTER (WHERE input_tokens > 100000000),
    count(*) FILTER (WHERE cost IS NULL AND (input_tokens > 0 OR output_tokens > 0)),
    count(*), count(event_id) - count(DISTINCT event_id)
"""
_TEXT, _NUMBER = (
    f"count(*) FILTER (WHERE {{name}} IS NULL), count(*) FILTER (WHERE {test})"
    for test in ("length({name}) < 1", "{name} < 0")
)
_BY_HAND = f"""SELECT
    {", ".join(_TEXT.format(name=name) for name in _TEXTS)},
    {", ".join(_NUMBER.format(name=name) for name in _NUMBERS)},
    {_MORE} FROM events"""
_ALONE = """
import resource, sys
sys.path.insert(0, sys.argv[2])
import guard
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
guard.judged(sys.argv[1], int(sys.argv[3]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def connected(path: str) -> duckdb.DuckDBPyConnection:
    """A connection with the events as a view."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"CREATE VIEW events AS SELECT *, timestamp AS ingested_at FROM '{path}'")
    return con


def judged(path: str, rows: int) -> float:
    """Seconds for the suite over the file."""
    table = connect_ibis(connected(path)).table("events")
    asked = load_suite("events", suite_parameters(NOW, {}))
    start = time.perf_counter()
    verdict = guard(table.limit(rows) if rows < LOADED else table, asked, now=NOW)
    seconds = time.perf_counter() - start
    if [check.id for check in verdict.checks if check.state == "error"]:
        sys.exit("a check could not be evaluated")
    return seconds


def by_hand(path: str) -> float:
    """Seconds for the SQL."""
    con = connected(path)
    start = time.perf_counter()
    con.execute(_BY_HAND).fetchall()
    return time.perf_counter() - start


def alone(path: str, rows: int) -> float:
    """MiB by which the peak of a process of its own rises while it judges."""
    command = [sys.executable, "-c", _ALONE, path, str(Path(__file__).parent), str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # ours
    return float(done.stdout.split()[-1])


def loading(path: Path, folder: Path, name: str) -> float:
    """Seconds for a load, with the guard or without."""
    lake = store.open(str(folder), create=True)
    start = time.perf_counter()
    ingest(lake, "events", [path], now=NOW, suite=name)
    return time.perf_counter() - start


def main(rows: int) -> int:
    """All three; the exit code says whether the targets are met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, few = folder / "many.parquet", folder / "few.parquet"
        write(many, rows)
        write(few, LOADED)
        start = time.perf_counter()
        judged(str(few), 10)  # imports Great Expectations
        print(f"first judgement of 10 rows, import included: {time.perf_counter() - start:.1f} s")
        pairs = [(by_hand(str(many)), judged(str(many), rows)) for _ in range(ROUNDS)]
        peak = alone(str(many), rows) - alone(str(few), 10)
        loads = [
            (loading(few, folder / f"a{n}", ""), loading(few, folder / f"b{n}", "events")) for n in range(ROUNDS + 1)
        ][1:]
    ratio = statistics.median(ours / hand for hand, ours in pairs)
    added = statistics.median(guarded / plain for plain, guarded in loads)
    print(f"{rows:,} rows: by hand {min(h for h, _ in pairs):.2f} s, guard {min(g for _, g in pairs):.2f} s")
    print(f"suite `events`: {ratio:.2f}x SQL by hand (target <= {TARGET}x)")
    print(f"peak memory: {peak:+.0f} MiB beside a process that judges 10 rows (target <= {TARGET_MIB} MiB)")
    print(f"load of {LOADED:,} rows: {added:.2f}x the load without the guard (target <= {TARGET_LOAD}x)")
    return int(ratio > TARGET or peak > TARGET_MIB or added > TARGET_LOAD)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
