"""Rows from DuckDB into Postgres tables: known ids left out, partitions made, COPY in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from hanzo_reports.errors import StoreError
from hanzo_reports.store.postgres_reader import batches
from hanzo_reports.store.postgres_server import ROOM

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg
    from ibis.backends.duckdb import Backend

    from hanzo_reports.store.base import RowSummary

BATCH = 20_000  # rows on their way at once
FIRST, END = 2000, 2100  # years; each month between has a partition, what lies outside has one on each side
_KNOWN = "known_ids"
_HELD = """
    SELECT held IS NOT NULL, EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = held AND inhparent = to_regclass(%(parent)s)
    ) FROM (SELECT to_regclass(%(name)s) AS held) AS asked
"""  # whether there is a table of that name, and whether it is the parent's
_WRITING = csv.WriteOptions(include_header=False)


@ibis.udf.scalar.builtin(name="chr", signature=((dt.int32,), dt.string))  # type: ignore[untyped-decorator]
def character(code: object) -> object:
    """DuckDB: the character of a code."""


@dataclass(frozen=True)
class PostgresTable:
    """One table of the store.

    Args:
        name: its name.
        schema: its columns and their Ibis types.
        key: the column that is unique over the whole table.
        time: the column whose UTC month is the partition; empty: it has none.
    """

    name: str
    schema: dict[str, str]
    key: str
    time: str = ""

    def append(
        self, connection: psycopg.Connection, rows: ibis.Table, url: str, seen: RowSummary | None = None
    ) -> tuple[int, int, dict[str, int]]:
        """Rows added, but for those whose key the table holds; the caller holds the write lock and commits.

        The keys go first, to learn which are known: then COPY can write into the table itself, at twice the speed of
        an INSERT from a staging table.

        Args:
            connection: in a transaction that has the lock.
            rows: the table's columns, and flags: further boolean columns, counted over the accepted rows.
            url: the database, for errors.
            seen: the rows' measures, where they are known.

        Returns:
            How many rows were accepted, how many were known, and how many of the accepted ones carried each flag.
        """
        con: Backend = rows.get_backend()
        flags = [name for name in rows.columns if name not in self.schema]
        fresh, known, more = self._unknown(connection, con, self._typed(rows), url)
        if not more:
            return 0, known, dict.fromkeys(flags, 0)
        flagged = seen.flagged if seen and not known else _flagged(fresh, flags)
        if self.time:
            for month in self._months(fresh):
                self._ensure_partition(connection, *month)
            fresh = fresh.order_by(self.time)  # what lies together in time lies together on disk: BRIN needs it
        return _copied(connection, con, fresh.select(*self.schema), self.name), known, flagged

    def _unknown(
        self, connection: psycopg.Connection, con: Backend, rows: ibis.Table, url: str
    ) -> tuple[ibis.Table, int, bool]:
        """The rows whose key the table does not have, how many others there are, and whether there are any."""
        connection.execute(f"CREATE TEMP TABLE offered ({self.key} text) ON COMMIT DROP")
        offered = _copied(connection, con, rows.select(self.key), "offered")
        connection.execute("ANALYZE offered")
        held = f"SELECT {self.key} FROM {self.name}"  # noqa: S608  # our own names
        known = f"SELECT {self.key} FROM offered WHERE {self.key} IN ({held})"  # noqa: S608
        count = connection.execute(f"CREATE TEMP TABLE known ON COMMIT DROP AS {known}").rowcount
        if count in {0, offered}:
            return rows, count, count < offered
        schema = ibis.schema({self.key: "string"})
        answer = batches(connection, "SELECT * FROM known", schema, BATCH, url)
        con.con.register("answered", pa.RecordBatchReader.from_batches(schema.to_pyarrow(), answer))
        con.con.execute(f"CREATE OR REPLACE TEMP TABLE {_KNOWN} AS FROM answered")
        con.con.unregister("answered")
        return rows.anti_join(con.table(_KNOWN), self.key), count, True

    def _typed(self, rows: ibis.Table) -> ibis.Table:
        """The columns in the table's types, and the flags; in texts a visible sign for NUL, which Postgres refuses."""
        nul, shown = character(0), "\N{REPLACEMENT CHARACTER}"
        typed = {name: rows[name].cast(dtype.removeprefix("!")) for name, dtype in self.schema.items()}
        texts = {name: value.replace(nul, shown) for name, value in typed.items() if value.type().is_string()}
        return rows.mutate(**{**typed, **texts})

    def _months(self, rows: ibis.Table) -> list[tuple[int, int]]:
        """The years and months that rows are of."""
        time = rows[self.time]
        found = rows.select(year=time.year(), month=time.month()).distinct().to_pyarrow().to_pylist()
        months = [(each["year"], each["month"]) for each in found]
        if (None, None) in months:
            msg = f"{self.time} is required and some rows have none"
            raise StoreError(msg)
        return sorted(months)

    def _ensure_partition(self, connection: psycopg.Connection, year: int, month: int) -> None:
        """The partition of a month, attached so that readers do not wait."""
        name, first, end = partition(self.name, year, month)
        found = connection.execute(_HELD, {"name": name, "parent": self.name}).fetchone()
        if found == (True, True):
            return
        if found == (True, False):
            msg = (
                f"the table {name} is there and no partition of {self.name}, as after DETACH; to load events of that "
                f"month, drop or rename it: ALTER TABLE {ROOM}.{name} RENAME TO old_{name}"
            )
            raise StoreError(msg)
        table, parent = sql.Identifier(name), sql.Identifier(self.name)
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(table, parent))
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(parent, table, first, end)
        )


def _flagged(rows: ibis.Table, flags: list[str]) -> dict[str, int]:
    """How many rows carry each flag."""
    if not flags:
        return {}
    sums = rows.aggregate(**{flag: rows[flag].sum().fill_null(0) for flag in flags})
    return dict(sums.to_pyarrow().to_pylist()[0])


def partition(table: str, year: int, month: int) -> tuple[str, sql.Composable, sql.Composable]:
    """The partition that a month belongs to: its name, its first instant and its end."""
    if year < FIRST:
        return f"{table}_before_{FIRST}", sql.SQL("MINVALUE"), _start(FIRST, 1)
    if year >= END:
        return f"{table}_from_{END}", _start(END, 1), sql.SQL("MAXVALUE")
    return f"{table}_{year}_{month:02}", _start(year, month), _start(year + month // 12, month % 12 + 1)


def _start(year: int, month: int) -> sql.Composable:
    return sql.Literal(f"{year}-{month:02}-01T00:00:00Z")


def _copied(connection: psycopg.Connection, con: Backend, rows: ibis.Table, table: str) -> int:
    """Rows streamed into a table, as CSV that Arrow writes; their number."""
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    target = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), columns)
    stream: Iterable[pa.RecordBatch] = con.con.execute(con.compile(rows)).to_arrow_reader(BATCH)
    with connection.cursor() as cursor:
        with cursor.copy(target) as copy:
            for batch in stream:
                text = pa.BufferOutputStream()
                csv.write_csv(_plain(batch), text, _WRITING)
                copy.write(memoryview(text.getvalue()))
        return cursor.rowcount


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Instants without their zone, for UTC, as the connection takes them: with it Arrow needs ten times as long."""
    arrays = [column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column for column in batch]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
