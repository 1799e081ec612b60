"""DuckDB connections, all of them in UTC; the engine and Ibis are loaded with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    import ibis
    from ibis.backends.duckdb import Backend

LOAD_MEMORY = "700MB"


def connect_ibis(connection: duckdb.DuckDBPyConnection) -> Backend:
    """Connect Ibis to a DuckDB connection, which also sets the connection's time zone to UTC.

    In a notebook, or under `python -c`, DuckDB would draw a progress bar into the output of long queries.
    """
    import ibis  # noqa: PLC0415  # see the module's docstring

    connection.execute("SET enable_progress_bar = false")
    return ibis.duckdb.from_connection(connection)


def open_load_session(temporary: Path, memory: str = LOAD_MEMORY) -> Backend:
    """Open a connection for heavy work: memory bounded, spilling into a folder, row order not preserved."""
    import duckdb  # noqa: PLC0415  # see the module's docstring

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "temp_directory": str(temporary),
        "preserve_insertion_order": False,
        "partitioned_write_flush_threshold": 60_000,  # fewer rows wait in memory; a tenth faster than the default
    }
    return connect_ibis(duckdb.connect(config=settings))


def materialize(table: ibis.Table) -> ibis.Table:
    """Copy a small table into this process, so that its expression is computed once."""
    import duckdb  # noqa: PLC0415  # see the module's docstring

    return connect_ibis(duckdb.connect()).create_table("rows", table.to_pyarrow())


def sql_literal(text: object) -> str:
    """Quote a text as a SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"
