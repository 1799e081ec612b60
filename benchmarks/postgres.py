"""A store in Postgres against Postgres by hand: `python benchmarks/postgres.py [ROWS]`.

Loading: `append` of a Parquet file's events against COPY of the same rows, in a CSV file that is there already, into a
table with the same primary key and BRIN index; target >= 0.5x its speed. Asking: usage and health of a week, by model
and project, against SQL written by hand on the same table; target <= 1.2x its time. The server is the tests' own.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psycopg
from events import ROWS, write

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.events import SCHEMA
from hanzo_reports.store.duckdb_session import open_load_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis

    from hanzo_reports.store.base import Store

LOAD_TARGET, ASK_TARGET = 0.5, 1.2
LOADS, ROUNDS = 3, 9
RANGE = "2025-06-10..2025-06-16"
_WEEK = "timestamp >= '2025-06-10Z' AND timestamp < '2025-06-17Z' GROUP BY model, project ORDER BY 3 DESC, 1, 2"
_USAGE = f"""
    SELECT model, project, count(*), sum(input_tokens), sum(output_tokens),
        sum(input_tokens) + sum(output_tokens), sum(cost)
    FROM hanzo_reports.events WHERE {_WEEK}
"""
_HEALTH = f"""
    SELECT model, project, count(*), avg((status >= 400)::int), 1 - avg((status >= 500)::int),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms),
        percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_ms)
    FROM hanzo_reports.events WHERE {_WEEK}
"""
_SIZE = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('hanzo_reports.events') WHERE isleaf"
HEALTH = ("requests", "error_rate", "availability", "latency_p50", "latency_p95", "latency_p99")


@contextmanager
def server() -> Iterator[str]:
    """The address of a new server's database; the tests' one, with Postgres' own defaults."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres_server import server as started  # noqa: PLC0415  # a folder of tests is no package

    with started() as running:
        yield running.database()


def rows_of(source: Path, folder: Path) -> ibis.Table:
    """The file's events, with the instant of loading."""
    now = "TIMESTAMPTZ '2025-07-01 00:00:00+00' AS ingested_at"
    con = open_load_session(folder)
    return con.sql(f"SELECT *, {now} FROM read_parquet('{source}')")


def copying(address: str, source: Path) -> float:
    """Seconds for COPY into a table like that of a month."""
    with psycopg.connect(address, autocommit=True) as con:
        con.execute("DROP TABLE IF EXISTS plain")
        con.execute("CREATE TABLE plain (LIKE hanzo_reports.events INCLUDING ALL)")
        con.execute("CHECKPOINT")
        start = time.perf_counter()
        columns = ", ".join(f'"{name}"' for name in SCHEMA)
        query = f"COPY plain ({columns}) FROM STDIN (FORMAT csv)"
        with con.cursor() as cursor, cursor.copy(query) as copy, source.open("rb") as file:
            while block := file.read(1 << 20):
                copy.write(block)
        return time.perf_counter() - start


def loading(held: Store, address: str, source: Path, folder: Path, rows: int) -> float:
    """Seconds for an append into the empty store."""
    with psycopg.connect(address, autocommit=True) as con:
        con.execute("TRUNCATE hanzo_reports.events, hanzo_reports.loads")
        con.execute("CHECKPOINT")
    start = time.perf_counter()
    accepted = held.append(rows_of(source, folder), {}).accepted
    if accepted != rows:
        sys.exit(f"loaded {accepted} of {rows} rows")
    return time.perf_counter() - start


def asking(workspace: hr.Workspace, address: str, noun: str, query: str, metrics: tuple[str, ...]) -> float:
    """The ratio of the medians: our question to the SQL by hand, in turns."""
    chosen = {"metrics": metrics} if metrics else {}
    ours, hand = [], []
    with psycopg.connect(address, autocommit=True) as con:
        con.execute("SET TIME ZONE 'UTC'")
        for _ in range(ROUNDS):
            start = time.perf_counter()
            expected = con.execute(query).fetchall()
            hand.append(time.perf_counter() - start)
            start = time.perf_counter()
            found = getattr(workspace, noun)(RANGE, by=["model", "project"], **chosen).to_pyarrow().to_pylist()
            ours.append(time.perf_counter() - start)
            pairs = [(row["model"], row["project"], row["requests"]) for row in found]
            if not pairs or pairs != [row[:3] for row in expected]:
                sys.exit(f"{noun}: {found[:2]}, by hand {expected[:2]}")
    ratio = statistics.median(ours) / statistics.median(hand)
    print(f"{noun}: by hand {statistics.median(hand):.3f} s, {noun}() {statistics.median(ours):.3f} s: {ratio:.2f}x")
    return ratio


def main(rows: int) -> int:
    """All of it; the exit code says whether the targets are met."""
    with tempfile.TemporaryDirectory() as name, server() as address:
        folder = Path(name)
        source, text = folder / "events.parquet", folder / "events.csv"
        write(source, rows)
        names = ", ".join(f'"{column}"' for column in SCHEMA)
        con = duckdb.connect()
        con.execute("SET TimeZone = 'UTC'")
        now = "TIMESTAMPTZ '2025-07-01 00:00:00+00' AS ingested_at"
        con.execute(f"COPY (SELECT {names} FROM (SELECT *, {now} FROM '{source}')) TO '{text}' (HEADER false)")
        con.close()
        held = store.open(address, create=True)
        copies, loads = [], []
        for _ in range(LOADS):
            copies.append(copying(address, text))
            loads.append(loading(held, address, source, folder, rows))
        held.compact()
        speed = statistics.median(copies) / statistics.median(loads)
        print(f"{rows:,} events: COPY {min(copies):.1f}-{max(copies):.1f} s, load {min(loads):.1f}-{max(loads):.1f} s")
        print(f"load: {speed:.2f}x the speed of plain COPY (target >= {LOAD_TARGET}x)")
        with psycopg.connect(address) as con:
            size = con.execute(_SIZE).fetchone()
        print(f"size: {int(size[0]) / rows:.0f} bytes an event, indexes included")
        workspace = hr.open(address, now=datetime(2025, 7, 1, tzinfo=UTC))
        ratios = [
            asking(workspace, address, "usage", _USAGE, ("requests", "tokens", "cost")),
            asking(workspace, address, "health", _HEALTH, HEALTH),
        ]
        print(f"asking: {max(ratios):.2f}x SQL by hand (target <= {ASK_TARGET}x)")
    return int(speed < LOAD_TARGET or max(ratios) > ASK_TARGET)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
