"""Loads rows from DuckDB into Postgres tables: known ids left out, partitions created, COPY in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from hanzo_reports.errors import StoreError
from hanzo_reports.store.postgres_reader import read_batches
from hanzo_reports.store.postgres_server import SCHEMA_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir
    import psycopg
    from ibis.backends.duckdb import Backend

    from hanzo_reports.store.base import RowSummary

BATCH_ROWS = 20_000
FIRST_YEAR, END_YEAR = 2000, 2100  # each month between has a partition; all before and all after have one each
_KNOWN_KEYS = "known_ids"
_FIND_PARTITION = """
    SELECT partition IS NOT NULL, EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = partition AND inhparent = to_regclass(%(parent)s)
    ) FROM (SELECT to_regclass(%(name)s) AS partition) AS lookup
"""  # whether a table of that name exists, and whether it is attached to its parent
_CSV_OPTIONS = csv.WriteOptions(include_header=False)


@ibis.udf.scalar.builtin(name="chr", signature=((dt.int32,), dt.string))  # type: ignore[untyped-decorator]
def character(code: object) -> object:
    """DuckDB's function for the character of a code."""


@dataclass(frozen=True)
class PostgresTable:
    """One table of the store.

    Args:
        name: its name.
        schema: its columns and their Ibis types.
        key: the column that is unique over the whole table.
        time: the column whose UTC month is the partition; empty: the table has no partitions.
    """

    name: str
    schema: dict[str, str]
    key: str
    time: str = ""

    def append(
        self, connection: psycopg.Connection, rows: ibis.Table, url: str, summary: RowSummary | None = None
    ) -> tuple[int, int, dict[str, int]]:
        """Add rows, except those whose key is in the table; the caller holds the write lock and commits.

        The keys are sent first, to find out which are known: COPY can then write into the table itself, at twice the
        speed of an INSERT from a staging table.

        Args:
            connection: in a transaction that holds the lock.
            rows: the table's columns, and flags: further boolean columns, counted over the accepted rows.
            url: the database, for errors.
            summary: that of the rows, where it is known.

        Returns:
            How many rows were accepted, how many were known, and how many of the accepted ones have each flag set.
        """
        con: Backend = rows.get_backend()
        flags = [name for name in rows.columns if name not in self.schema]
        new_rows, known, any_new = self._exclude_known(connection, con, self._cast(rows), url)
        if not any_new:
            return 0, known, dict.fromkeys(flags, 0)
        flagged = summary.flagged if summary and not known else _count_flags(new_rows, flags)
        if self.time:
            for month in self._list_months(new_rows):
                self._ensure_partition(connection, *month)
            new_rows = new_rows.order_by(self.time)  # BRIN needs rows of one time to be together on disk
        return _copy_rows(connection, con, new_rows.select(*self.schema), self.name), known, flagged

    def find_known(self, connection: psycopg.Connection, keys: ibis.Table, url: str) -> ibis.Table | None:
        """Return those of some keys that are in the table, each once; None: none is.

        Args:
            connection: in a transaction.
            keys: one column, the key.
            url: the database, for errors.
        """
        con: Backend = keys.get_backend()
        stored = keys.mutate(_stored=_replace_nul(keys[self.key]))
        _, count = self._match_keys(connection, con, stored.select(**{self.key: stored["_stored"]}))
        if not count:
            return None
        known = self._fetch_known(connection, con, url)
        return stored.semi_join(known, stored["_stored"] == known[self.key]).select(self.key).distinct()

    def _exclude_known(
        self, connection: psycopg.Connection, con: Backend, rows: ibis.Table, url: str
    ) -> tuple[ibis.Table, int, bool]:
        """Return the rows whose key is not in the table, how many others there are, and whether any row is new."""
        offered, count = self._match_keys(connection, con, rows.select(self.key))
        if count in {0, offered}:
            return rows, count, count < offered
        return rows.anti_join(self._fetch_known(connection, con, url), self.key), count, True

    def _match_keys(self, connection: psycopg.Connection, con: Backend, keys: ibis.Table) -> tuple[int, int]:
        """Send keys to the server; return their number, and the number of those that are in the table."""
        connection.execute(f"CREATE TEMP TABLE offered ({self.key} text) ON COMMIT DROP")
        offered = _copy_rows(connection, con, keys, "offered")
        connection.execute("ANALYZE offered")
        stored = f"SELECT {self.key} FROM {self.name}"  # noqa: S608  # our own names
        known = f"SELECT {self.key} FROM offered WHERE {self.key} IN ({stored})"  # noqa: S608
        return offered, connection.execute(f"CREATE TEMP TABLE known ON COMMIT DROP AS {known}").rowcount

    def _fetch_known(self, connection: psycopg.Connection, con: Backend, url: str) -> ibis.Table:
        """Return the keys that `_match_keys` has matched, as a table on a DuckDB connection."""
        schema = ibis.schema({self.key: "string"})
        answer = read_batches(connection, "SELECT * FROM known", schema, BATCH_ROWS, url)
        con.con.register("answer", pa.RecordBatchReader.from_batches(schema.to_pyarrow(), answer))
        table = f"{_KNOWN_KEYS}_{uuid4().hex}"
        con.con.execute(f"CREATE TEMP TABLE {table} AS FROM answer")
        con.con.unregister("answer")
        return con.table(table)

    def _cast(self, rows: ibis.Table) -> ibis.Table:
        """Return the columns in the table's types, and the flags; U+FFFD replaces NUL, which Postgres refuses."""
        columns = {name: rows[name].cast(dtype.removeprefix("!")) for name, dtype in self.schema.items()}
        texts = {name: _replace_nul(value) for name, value in columns.items() if value.type().is_string()}
        return rows.mutate(**{**columns, **texts})

    def _list_months(self, rows: ibis.Table) -> list[tuple[int, int]]:
        """List the years and months of rows, in order."""
        time = rows[self.time]
        pairs = rows.select(year=time.year(), month=time.month()).distinct().to_pyarrow().to_pylist()
        months = [(pair["year"], pair["month"]) for pair in pairs]
        if (None, None) in months:
            msg = f"{self.time} is required, and some rows have none"
            raise StoreError(msg)
        return sorted(months)

    def _ensure_partition(self, connection: psycopg.Connection, year: int, month: int) -> None:
        """Create the partition of a month if there is none, and attach it so that readers do not wait."""
        name, first, end = describe_partition(self.name, year, month)
        exists, attached = connection.execute(_FIND_PARTITION, {"name": name, "parent": self.name}).fetchone() or (0, 0)
        if exists and attached:
            return
        if exists:
            msg = (
                f"The table {name} exists and is not a partition of {self.name}, as after DETACH. To load events of "
                f"that month, drop or rename it: ALTER TABLE {SCHEMA_NAME}.{name} RENAME TO old_{name}"
            )
            raise StoreError(msg)
        table, parent = sql.Identifier(name), sql.Identifier(self.name)
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(table, parent))
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(parent, table, first, end)
        )


def _replace_nul(text: ir.StringValue) -> ir.StringValue:
    """Replace NUL, which Postgres refuses, with U+FFFD."""
    return text.replace(character(0), "\N{REPLACEMENT CHARACTER}")


def _count_flags(rows: ibis.Table, flags: list[str]) -> dict[str, int]:
    """Count the rows that have each flag set."""
    if not flags:
        return {}
    sums = rows.aggregate(**{flag: rows[flag].sum().fill_null(0) for flag in flags})
    return dict(sums.to_pyarrow().to_pylist()[0])


def describe_partition(table: str, year: int, month: int) -> tuple[str, sql.Composable, sql.Composable]:
    """Return the name, the first instant and the end of the partition that a month belongs to."""
    if year < FIRST_YEAR:
        return f"{table}_before_{FIRST_YEAR}", sql.SQL("MINVALUE"), _month_start(FIRST_YEAR, 1)
    if year >= END_YEAR:
        return f"{table}_from_{END_YEAR}", _month_start(END_YEAR, 1), sql.SQL("MAXVALUE")
    end = _month_start(year + month // 12, month % 12 + 1)
    return f"{table}_{year}_{month:02}", _month_start(year, month), end


def _month_start(year: int, month: int) -> sql.Composable:
    return sql.Literal(f"{year}-{month:02}-01T00:00:00Z")


def _copy_rows(connection: psycopg.Connection, con: Backend, rows: ibis.Table, table: str) -> int:
    """Stream rows into a table, as CSV that Arrow writes; return their number."""
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    target = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), columns)
    stream: Iterable[pa.RecordBatch] = con.con.execute(con.compile(rows)).to_arrow_reader(BATCH_ROWS)
    with connection.cursor() as cursor:
        with cursor.copy(target) as copy:
            for batch in stream:
                text = pa.BufferOutputStream()
                csv.write_csv(_strip_zones(batch), text, _CSV_OPTIONS)
                copy.write(memoryview(text.getvalue()))
        return cursor.rowcount


def _strip_zones(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Remove the zone of instants, which are in UTC as the connection is: with it Arrow takes ten times as long."""
    arrays = [column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column for column in batch]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
