"""Text files, read by DuckDB row by row, with each row's number; rows it cannot read come along as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibis.util import gen_name

from hanzo_reports.store.duck import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibis.backends.duckdb import Backend

    from hanzo_reports.ingest.files import File

LONGEST_LINE = 16_000_000  # bytes
_BUFFER = 2 * LONGEST_LINE
_NEVER = "\x01"  # a control character stands in no JSON text and in no log line
FAULTS = {
    "MISSING COLUMNS": "too few columns",
    "TOO MANY COLUMNS": "too many columns",
    "UNQUOTED VALUE": "a quote that does not end where the value does",
    "LINE SIZE OVER MAXIMUM": "the line is too long",
    "INVALID ENCODING": "not UTF-8",
    "INVALID STATE": "not CSV",
}


def name(text: str) -> str:
    """A name as SQL writes it."""
    return '"' + text.replace('"', '""') + '"'


def lines(con: Backend, file: File) -> str:
    """SQL for a file's lines: `_line`, `_row`, `_raw`, `_fault`."""
    return _numbered(con, file, ["_line"], f"delim = '{_NEVER}', quote = '', escape = '', header = false")


def fields(con: Backend, file: File, columns: Sequence[str], delimiter: str) -> str:
    """SQL for a CSV file's rows: its columns as text, `_row`, `_raw`, `_fault`."""
    return _numbered(con, file, columns, f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', header = true")


def _numbered(con: Backend, file: File, columns: Sequence[str], dialect: str) -> str:
    """SQL for the rows of a text file, numbered from 1 as they stand in it, with those that cannot be read.

    The file is looked through once to find those. Rows are numbered in one thread: order holds whatever the settings.
    """
    typed = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    options = (
        f"{literal(file.path)}, auto_detect = false, {dialect}, columns = {{{typed}}}, strict_mode = false, "
        f"max_line_size = {LONGEST_LINE}, buffer_size = {_BUFFER}, compression = '{'gzip' if file.gzipped else 'none'}'"
    )
    rejects = gen_name("rejects")
    stored = f"store_rejects = true, rejects_table = '{rejects}', rejects_scan = '{rejects}_scan'"
    con.con.execute(f"SELECT count(*) FROM read_csv({options}, {stored})").fetchall()
    con.con.execute(f"""
        CREATE TEMP TABLE {rejects}_rows AS
        SELECT line - 1 AS _row, min(error_type::VARCHAR) AS kind, any_value(csv_line) AS _raw
        FROM {rejects} GROUP BY line""")
    faulty = con.con.execute(f"SELECT count(*) FROM {rejects}_rows").fetchone()
    if not faulty or not faulty[0]:
        return f"""
            SELECT *, row_number() OVER () AS _row, NULL::VARCHAR AS _raw, NULL::VARCHAR AS _fault
            FROM read_csv({options})"""
    faults = " ".join(f"WHEN {literal(kind)} THEN {literal(text)}" for kind, text in FAULTS.items())
    return f"""
        SELECT good.* EXCLUDE (_number), good._number + coalesce(skipped, 0) AS _row,
            NULL::VARCHAR AS _raw, NULL::VARCHAR AS _fault
        FROM (SELECT *, row_number() OVER () AS _number FROM read_csv({options}, ignore_errors = true)) AS good
        ASOF LEFT JOIN (
            SELECT _row - number AS before, max(number) AS skipped
            FROM (SELECT _row, row_number() OVER (ORDER BY _row) AS number FROM {rejects}_rows) GROUP BY before
        ) AS bad ON good._number > bad.before
        UNION ALL BY NAME
        SELECT _row, _raw, CASE kind {faults} ELSE lower(kind) END AS _fault FROM {rejects}_rows"""
