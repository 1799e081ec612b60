"""Text files, read by DuckDB row by row, with each row's number; rows it cannot read come along as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibis.util import gen_name

from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibis.backends.duckdb import Backend

    from hanzo_reports.ingest.files import File

LONGEST_LINE = 16_000_000  # bytes
_BUFFER = 2 * LONGEST_LINE
_NEVER = "\x01"  # a control character stands in no JSON text, in no log line and in no field
_SURPLUS = tuple(f"_surplus_{number}" for number in range(16))  # fields beyond the header's that a faulty row may have
FAULTS = {
    "LINE SIZE OVER MAXIMUM": "the line is too long",
    "INVALID ENCODING": "not UTF-8",
    "INVALID STATE": "not CSV",
}


def name(text: str) -> str:
    """A name as SQL writes it."""
    return '"' + text.replace('"', '""') + '"'


@dataclass(frozen=True)
class Dialect:
    """How DuckDB reads a text file.

    Args:
        options: what parts its fields.
        above: the number of lines before the first row.
        more: names of further fields, for rows that have too many.
        padded: options that give every row as many.
    """

    options: str
    above: int
    more: Sequence[str] = ()
    padded: str = ""


def lines(con: Backend, file: File) -> str:
    """SQL for a file's lines: `_line`, `_row`, `_raw`, `_fault`."""
    return _numbered(con, file, ["_line"], Dialect(f"delim = '{_NEVER}', quote = '', escape = '', header = false", 0))


def fields(con: Backend, file: File, columns: Sequence[str], delimiter: str) -> str:
    """SQL for a CSV file's rows: its columns as text, `_row`, `_raw`, `_fault`.

    DuckDB's strict reading finds rows with too few or too many fields, and loses what stands after an odd quote; its
    loose one drops surplus fields, so that values are shifted unseen. So each row is given room for more fields than
    the header has, and what stands there, or is not there at all (unlike the empty text), tells.
    """
    blank = len(file.head) - len(file.head.lstrip("\r\n"))
    skipped = file.head[:blank].count("\n")
    dialect = Dialect(
        f"delim = {sql_literal(delimiter)}, quote = '\"', escape = '\"', header = true, skip = {skipped}",
        skipped + 1,
        _SURPLUS,
        f"null_padding = true, nullstr = '{_NEVER}', parallel = false",
    )
    found = ", ".join(f"nullif({name(column)}, '') AS {name(column)}" for column in columns)
    text = _written((*columns, *_SURPLUS), delimiter)
    return f"""
        SELECT {found}, _row, CASE WHEN _odd IS NULL THEN _raw ELSE {text} END AS _raw, coalesce(_fault, _odd) AS _fault
        FROM (
            SELECT *, CASE
                WHEN _fault IS NOT NULL THEN NULL
                WHEN {name(columns[-1])} IS NULL THEN 'too few columns'
                WHEN concat({", ".join(_SURPLUS)}) <> '' THEN 'too many columns'
            END AS _odd FROM ({_numbered(con, file, columns, dialect)})
        )"""


def _written(columns: Sequence[str], delimiter: str) -> str:
    """SQL for a row's fields as CSV, up to the last that is there."""
    parts = sql_literal(delimiter)
    special = rf"regexp_matches(x, '[\"\n\r]') OR contains(x, {parts})"
    quoted = f"""CASE WHEN {special} THEN '"' || replace(x, '"', '""') || '"' ELSE x END"""
    return f"array_to_string(list_transform([{', '.join(map(name, columns))}], lambda x: {quoted}), {parts})"


def _numbered(con: Backend, file: File, columns: Sequence[str], dialect: Dialect) -> str:
    """SQL for the rows of a text file, numbered from 1 as they stand in it, with those that cannot be read.

    The file is looked through once to find those; all its fields, as a text that is not UTF-8 is found by being read.
    Rows are numbered in one thread: order holds whatever the settings.
    """
    options = (
        f"{sql_literal(file.path)}, auto_detect = false, {dialect.options}, strict_mode = false, "
        f"max_line_size = {LONGEST_LINE}, buffer_size = {_BUFFER}, compression = '{'gzip' if file.gzipped else 'none'}'"
    )
    rejects = gen_name("rejects")
    stored = f"store_rejects = true, rejects_table = '{rejects}', rejects_scan = '{rejects}_scan'"
    con.con.execute(f"SELECT count(COLUMNS(*)) FROM read_csv({options}, {_types(columns)}, {stored})").fetchall()
    con.con.execute(f"""
        CREATE TEMP TABLE {rejects}_rows AS
        SELECT (line - {dialect.above})::BIGINT AS _row, min(error_type::VARCHAR) AS kind,
            any_value(ltrim(csv_line, chr(10) || chr(13))) AS _raw
        FROM {rejects} WHERE error_type <> 'MISSING COLUMNS' GROUP BY line""")
    options = ", ".join(filter(None, (options, _types((*columns, *dialect.more)), dialect.padded)))
    faulty = con.con.execute(f"SELECT count(*) FROM {rejects}_rows").fetchone()
    if not faulty or not faulty[0]:
        return f"""
            SELECT *, row_number() OVER () AS _row, NULL::VARCHAR AS _raw, NULL::VARCHAR AS _fault
            FROM read_csv({options})"""
    faults = " ".join(f"WHEN {sql_literal(kind)} THEN {sql_literal(text)}" for kind, text in FAULTS.items())
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


def _types(columns: Sequence[str]) -> str:
    """The option that makes each field a text."""
    return "columns = {" + ", ".join(f"{sql_literal(column)}: 'VARCHAR'" for column in columns) + "}"
