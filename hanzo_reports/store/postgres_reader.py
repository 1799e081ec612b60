"""Ibis on a Postgres connection, with answers that COPY sends as CSV and Arrow parses.

Ibis itself uses a server-side cursor, whose queries never run in parallel, and a Python object for each cell.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import psycopg
import pyarrow as pa
from ibis.backends.postgres import Backend
from psycopg.pq import TransactionStatus
from pyarrow import csv

from hanzo_reports.errors import StoreError
from hanzo_reports.store.postgres_server import translate_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis
    from ibis.expr.types import Expr

_PARSE_OPTIONS = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
_CSV_TYPES = dt.String | dt.Boolean | dt.Integer | dt.Floating | dt.Decimal | dt.Date | dt.Timestamp


class Reader(Backend):  # type: ignore[misc]  # Ibis ships no types
    """Ibis on one connection, which runs one query at a time."""

    url = ""

    def _post_connect(self) -> None:
        """Do nothing: the connection is set up already, and Ibis would load pandas."""

    def to_pyarrow_batches(
        self,
        expr: Expr,
        /,
        *,
        params: Any = None,  # noqa: ANN401  # as in Ibis
        limit: int | str | None = None,
        chunk_size: int = 1_000_000,
        **options: Any,  # noqa: ANN401
    ) -> pa.RecordBatchReader:
        """Return the answer as batches of at most `chunk_size` rows."""
        schema = expr.as_table().schema()
        if not all(isinstance(dtype, _CSV_TYPES) for dtype in schema.values()):
            return super().to_pyarrow_batches(expr, params=params, limit=limit, chunk_size=chunk_size, **options)
        self._run_pre_execute_hooks(expr)
        query = self.compile(expr, params=params, limit=limit)
        return pa.RecordBatchReader.from_batches(schema.to_pyarrow(), self._read(query, schema, chunk_size))

    def _read(self, query: str, schema: ibis.Schema, size: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows; until they end, this object lives, and so does its connection."""
        yield from read_batches(self.con, query, schema, size, self.url)


def read_batches(
    connection: psycopg.Connection, query: str, schema: ibis.Schema, size: int, url: str
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query in batches of a size.

    Raises:
        StoreError: the query fails, the server is gone, or the connection is in the middle of another answer.
    """
    columns = schema.to_pyarrow()
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        msg = "this table is in the middle of another answer; call store.events() once for each answer"
        raise StoreError(msg)
    try:
        with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as lines:
            rows: list[Any] = []
            for row in lines:  # the server sends one message per row
                rows.append(row)
                if len(rows) == size:
                    yield from _parse(rows, columns)
                    rows = []
            yield from _parse(rows, columns)
    except psycopg.Error as error:
        raise translate_error(url, error) from error


def _parse(rows: list[Any], columns: pa.Schema) -> list[pa.RecordBatch]:
    if not rows:
        return []
    text = b"".join(rows)
    table = csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(column_names=columns.names, use_threads=False, block_size=len(text) + 1),
        _PARSE_OPTIONS,
        csv.ConvertOptions(
            column_types=columns,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    return list(table.cast(columns).to_batches())
