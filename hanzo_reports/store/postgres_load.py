"""Rows from DuckDB into Postgres tables: known ids left out, partitions made, COPY in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from hanzo_reports.store.postgres_reader import batches

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg
    from ibis.backends.duckdb import Backend

BATCH = 20_000  # rows on their way at once
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)  # months between have a partition each
_KNOWN = "known_ids"
_WRITING = csv.WriteOptions(include_header=False)


@ibis.udf.scalar.builtin(name="chr", signature=((dt.int32,), dt.string))  # type: ignore[untyped-decorator]
def character(code: int) -> str:
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
        self, connection: psycopg.Connection, rows: ibis.Table, url: str
    ) -> tuple[int, int, dict[str, int]]:
        """Rows added, but for those whose key the table holds; the caller holds the write lock and commits.

        The keys go first, to learn which are known: then COPY can write into the table itself, at twice the speed of
        an INSERT from a staging table.

        Args:
            connection: in a transaction that has the lock.
            rows: the table's columns, and flags: further boolean columns, counted over the accepted rows.
            url: the database, for errors.

        Returns:
            How many rows were accepted, how many were known, and how many of the accepted ones carried each flag.
        """
        con: Backend = rows.get_backend()
        fresh, known = self._unknown(connection, con, self._typed(rows), url)
        flags = [name for name in rows.columns if name not in self.schema]
        accepted, flagged, months = self._measured(fresh, flags)
        if accepted:
            if self.time:
                fresh = fresh.order_by(self.time)  # what lies together in time lies together on disk: BRIN needs it
                for month in months:
                    self._ensure_partition(connection, month)
            _copied(connection, con, fresh.select(*self.schema), self.name)
        return accepted, known, flagged

    def _unknown(
        self, connection: psycopg.Connection, con: Backend, rows: ibis.Table, url: str
    ) -> tuple[ibis.Table, int]:
        """The rows whose key the table does not have, and how many others there are."""
        connection.execute(f"CREATE TEMP TABLE offered ({self.key} text) ON COMMIT DROP")
        _copied(connection, con, rows.select(self.key), "offered")
        connection.execute("ANALYZE offered")
        query = f"SELECT {self.key} FROM offered WHERE {self.key} IN (SELECT {self.key} FROM {self.name})"  # noqa: S608  # our own names
        schema = ibis.schema({self.key: "string"})
        reader = pa.RecordBatchReader.from_batches(
            schema.to_pyarrow(), batches(connection, query, schema, BATCH, url)
        )
        known = con.create_table(_KNOWN, reader, temp=True, overwrite=True)
        count = int(known.count().to_pyarrow().as_py())
        return (rows.anti_join(known, self.key), count) if count else (rows, 0)

    def _typed(self, rows: ibis.Table) -> ibis.Table:
        """The table's columns in its own types, and the flags; NUL, which Postgres keeps in no text, is shown as one."""
        nul, shown = character(0), "\N{REPLACEMENT CHARACTER}"
        typed = {name: rows[name].cast(dtype.removeprefix("!")) for name, dtype in self.schema.items()}
        texts = {name: value.replace(nul, shown) for name, value in typed.items() if value.type().is_string()}
        return rows.mutate(**{**typed, **texts})

    def _measured(self, rows: ibis.Table, flags: list[str]) -> tuple[int, dict[str, int], list[datetime]]:
        """How many rows there are, how many carry each flag, and the months they are of."""
        month = {"month": rows[self.time].truncate("M")} if self.time else {"month": ibis.null("timestamp('UTC')")}
        sums = {flag: rows[flag].sum().fill_null(0) for flag in flags}
        counted = rows.mutate(**month).group_by("month").aggregate(_rows=ibis._.count(), **sums)
        found = counted.order_by("month").to_pyarrow().to_pylist()
        flagged = {flag: sum(each[flag] for each in found) for flag in flags}
        return sum(each["_rows"] for each in found), flagged, [each["month"] for each in found if each["month"]]

    def _ensure_partition(self, connection: psycopg.Connection, month: datetime) -> None:
        """The partition of a month, attached so that readers do not wait."""
        name, first, end = partition(month, self.name)
        if connection.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,):
            return
        table, parent = sql.Identifier(name), sql.Identifier(self.name)
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(table, parent))
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(parent, table, first, end)
        )


def partition(month: datetime, table: str) -> tuple[str, sql.Composable, sql.Composable]:
    """The partition that an instant of a month belongs to: its name, its first instant and its end."""
    if month < FIRST:
        return f"{table}_before_{FIRST.year}", sql.SQL("MINVALUE"), sql.Literal(FIRST.isoformat())
    if month >= LAST:
        return f"{table}_from_{LAST.year}", sql.Literal(LAST.isoformat()), sql.SQL("MAXVALUE")
    first = datetime(month.year, month.month, 1, tzinfo=UTC)
    end = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    return f"{table}_{first:%Y_%m}", sql.Literal(first.isoformat()), sql.Literal(end.isoformat())


def _copied(connection: psycopg.Connection, con: Backend, rows: ibis.Table, table: str) -> None:
    """Rows streamed into a table, as CSV that Arrow writes."""
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    target = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), columns)
    stream: Iterable[pa.RecordBatch] = con.con.execute(con.compile(rows)).to_arrow_reader(BATCH)
    with connection.cursor() as cursor, cursor.copy(target) as copy:
        for batch in stream:
            text = pa.BufferOutputStream()
            csv.write_csv(batch, text, _WRITING)
            copy.write(memoryview(text.getvalue()))
