"""Rows of a load on their way: given a name, or copied into a temporary file, so that no work is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibis.util import gen_name

from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from pathlib import Path

    import ibis
    from ibis.backends.duckdb import Backend


def name_rows(rows: ibis.Table) -> ibis.Table:
    """Create a view of the rows, so that the SQL that makes them is compiled once."""
    con: Backend = rows.get_backend()
    return con.create_view(gen_name("rows"), rows)


def stage_rows(rows: ibis.Table, path: Path) -> ibis.Table:
    """Copy the rows into a temporary Parquet file, so that what makes them runs once."""
    con: Backend = rows.get_backend()
    con.con.execute(f"COPY ({con.compile(rows)}) TO {sql_literal(path)} (FORMAT parquet, COMPRESSION lz4)")
    return con.read_parquet(path)
