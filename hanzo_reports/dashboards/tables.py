"""Reads small query results into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis

Row: TypeAlias = dict[str, Any]


def fetch_table(table: ibis.Table) -> pa.Table:
    """A small table's rows. They are streamed, because Ibis' `to_pyarrow` imports pandas, which takes half a second."""
    reader = table.to_pyarrow_batches()
    batches = list(reader)  # in DuckDB's types, whose sums of integers are wider than Ibis announces
    return pa.Table.from_batches(batches).cast(reader.schema) if batches else reader.schema.empty_table()


def fetch_rows(table: ibis.Table) -> list[Row]:
    """A small table's rows as dictionaries."""
    rows: list[Row] = fetch_table(table).to_pylist()
    return rows


def build_table(rows: Sequence[Row]) -> pa.Table:
    """Rows as a small table whose money is Decimal; without rows, a table without columns."""
    return pa.Table.from_pylist(list(rows)) if rows else pa.table({})
