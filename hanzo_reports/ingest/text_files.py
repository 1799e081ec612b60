"""Text files as SQL for DuckDB: their rows, numbered; rows that it cannot read are kept as text, with the fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibis.util import gen_name

from hanzo_reports.ingest.redaction import MASK, is_secret_name
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibis.backends.duckdb import Backend

    from hanzo_reports.ingest.files import File

MAX_LINE_BYTES = 16_000_000
_BUFFER = 2 * MAX_LINE_BYTES
_NEVER = "\x01"  # a control character that occurs in no JSON text, log line or field
_SURPLUS = tuple(f"_surplus_{number}" for number in range(16))  # fields that a faulty row may have beyond the header
FAULTS = {
    "LINE SIZE OVER MAXIMUM": "the line is too long",
    "INVALID ENCODING": "not UTF-8",
    "INVALID STATE": "not CSV",
}


def quote_name(text: str) -> str:
    """A name as SQL quotes it."""
    return '"' + text.replace('"', '""') + '"'


@dataclass(frozen=True)
class Dialect:
    """How DuckDB reads a text file.

    Args:
        options: how its fields are separated and quoted.
        lines_above: the number of lines before the first row.
        surplus: names of further fields, for rows that have too many.
        padding: options that give every row the same number of fields.
    """

    options: str
    lines_above: int
    surplus: Sequence[str] = ()
    padding: str = ""


def lines_sql(con: Backend, file: File) -> str:
    """SQL for a file's lines: `_line`, `_row`, `_raw`, `_fault`."""
    return _numbered_rows(
        con, file, ["_line"], Dialect(f"delim = '{_NEVER}', quote = '', escape = '', header = false", 0)
    )


def fields_sql(con: Backend, file: File, columns: Sequence[str], delimiter: str) -> str:
    """SQL for a CSV file's rows: its columns as text, `_row`, `_raw`, `_fault`.

    In strict mode DuckDB finds rows with too few or too many fields, but loses the text after a stray quote. In loose
    mode it drops surplus fields, so that values shift unnoticed. So each row gets room for more fields than the header
    has: a value there is a field too many, and NULL (unlike the empty text) in the last column is a field too few.
    """
    blank = len(file.head) - len(file.head.lstrip("\r\n"))
    skipped = file.head[:blank].count("\n")
    dialect = Dialect(
        f"delim = {sql_literal(delimiter)}, quote = '\"', escape = '\"', header = true, skip = {skipped}",
        skipped + 1,
        _SURPLUS,
        f"null_padding = true, nullstr = '{_NEVER}', parallel = false",
    )
    values = ", ".join(f"nullif({quote_name(column)}, '') AS {quote_name(column)}" for column in columns)
    text = _join_fields((*columns, *_SURPLUS), delimiter)
    return f"""
        SELECT {values}, _row, CASE WHEN _odd IS NULL THEN _raw ELSE {text} END AS _raw,
            coalesce(_fault, _odd) AS _fault
        FROM (
            SELECT *, CASE
                WHEN _fault IS NOT NULL THEN NULL
                WHEN {quote_name(columns[-1])} IS NULL THEN 'too few columns'
                WHEN concat({", ".join(_SURPLUS)}) <> '' THEN 'too many columns'
            END AS _odd FROM ({_numbered_rows(con, file, columns, dialect)})
        )"""


def _join_fields(columns: Sequence[str], delimiter: str) -> str:
    """SQL for a row's fields as CSV, up to the last that exists; columns with a name for secrets are masked."""
    separator = sql_literal(delimiter)
    special = rf"regexp_matches(x, '[\"\n\r]') OR contains(x, {separator})"
    quoted = f"""CASE WHEN {special} THEN '"' || replace(x, '"', '""') || '"' ELSE x END"""
    fields = [
        f"CASE WHEN {quote_name(column)} <> '' THEN {sql_literal(MASK)} ELSE {quote_name(column)} END"
        if is_secret_name(column)
        else quote_name(column)
        for column in columns
    ]
    return f"array_to_string(list_transform([{', '.join(fields)}], lambda x: {quoted}), {separator})"


def _numbered_rows(con: Backend, file: File, columns: Sequence[str], dialect: Dialect) -> str:
    """SQL for the rows of a text file, numbered from 1 as they stand in it, with those that cannot be read.

    A first pass finds those; it reads all fields, since a text that is not UTF-8 shows only when it is read. Rows are
    numbered in one thread, which keeps their order whatever the settings.
    """
    options = (
        f"{sql_literal(file.path)}, auto_detect = false, {dialect.options}, strict_mode = false, "
        f"max_line_size = {MAX_LINE_BYTES}, buffer_size = {_BUFFER}, "
        f"compression = '{'gzip' if file.gzipped else 'none'}'"
    )
    rejects = gen_name("rejects")
    stored = f"store_rejects = true, rejects_table = '{rejects}', rejects_scan = '{rejects}_scan'"
    con.con.execute(f"SELECT count(COLUMNS(*)) FROM read_csv({options}, {_text_types(columns)}, {stored})").fetchall()
    con.con.execute(f"""
        CREATE TEMP TABLE {rejects}_rows AS
        SELECT (line - {dialect.lines_above})::BIGINT AS _row, min(error_type::VARCHAR) AS kind,
            any_value(ltrim(csv_line, chr(10) || chr(13))) AS _raw
        FROM {rejects} WHERE error_type <> 'MISSING COLUMNS' GROUP BY line""")
    options = ", ".join(filter(None, (options, _text_types((*columns, *dialect.surplus)), dialect.padding)))
    faulty = con.con.execute(f"SELECT 1 FROM {rejects}_rows LIMIT 1").fetchone()
    if not faulty:
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


def _text_types(columns: Sequence[str]) -> str:
    """The option that reads each field as text."""
    return "columns = {" + ", ".join(f"{sql_literal(column)}: 'VARCHAR'" for column in columns) + "}"
