"""Files -> raw tables in DuckDB, streamed: CSV, JSON lines, JSON, text lines, OTLP and Parquet, also gzipped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
from ibis.util import gen_name

from hanzo_reports.errors import ColumnError, UnreadableError, nearest
from hanzo_reports.ingest.csv_header import parse_header
from hanzo_reports.ingest.otlp import spans_sql
from hanzo_reports.ingest.redaction import mask_secrets_in
from hanzo_reports.ingest.source import split_path
from hanzo_reports.ingest.text_files import fields_sql, lines_sql, quote_name
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import ibis
    from ibis.backends.duckdb import Backend

    from hanzo_reports.ingest.files import File
    from hanzo_reports.ingest.plan import LoadPlan
    from hanzo_reports.ingest.source import Source

PLACE = ("_file", "_row", "_raw", "_fault")
MAX_OBJECT_BYTES = 1 << 28  # of one JSON object that spans lines
MAX_NAMES_SHOWN = 40


@dataclass(frozen=True)
class RawTable:
    """Rows as files have them.

    Args:
        table: their columns, and `_file`; `_row`, a row's number in its file, from 1; `_raw`, its text where the file
            is read as text, else NULL; `_fault`, why it could not be read, NULL where it could.
        name: the files, for errors.
        header: of CSV, the delimiter and the names of the columns; empty for other formats.
    """

    table: ibis.Table
    name: str
    header: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns that the files themselves have."""
        return [column for column in self.table.columns if column not in PLACE]


def read_files(con: Backend, plan: LoadPlan) -> list[RawTable]:
    """Read the files of a load, one raw table for each layout among them.

    Text files are searched once for lines that cannot be read; everything else is read when the tables are used.

    Args:
        con: a DuckDB connection, whose time zone is UTC.
        plan: the files, and what they are.

    Raises:
        UnreadableError: a file cannot be read, or has no row of its format.
        ColumnError: a file lacks a column that the source needs.
    """
    layouts: dict[tuple[str, ...], list[File]] = {}
    for file in plan.files:
        layouts.setdefault(_layout(file), []).append(file)
    return [_read_layout(con, plan.source, kind, tuple(header), files) for (kind, *header), files in layouts.items()]


def describe_engine_error(error: duckdb.Error) -> str:
    """What DuckDB says about a file, in one line and without secrets."""
    return mask_secrets_in(str(error).splitlines()[0])


def _layout(file: File) -> tuple[str, ...]:
    """What files must share to be one table: for CSV the delimiter and the header, else how they are read."""
    if file.kind == "csv":
        return ("csv", *parse_header(file.head, file.path))
    return (file.kind,) if file.kind in {"log", "parquet"} else ("json",)


def _read_layout(con: Backend, source: Source, kind: str, header: tuple[str, ...], files: Sequence[File]) -> RawTable:
    name = ", ".join(str(file.path) for file in files)
    try:
        if kind == "parquet":
            return RawTable(_read_parquet(con, source, files), name)
        if kind == "csv":
            return RawTable(_read_csv(con, source, header, files), name, header)
        if kind == "log":
            return RawTable(_read_log(con, source, files), name)
        return RawTable(_read_json(con, source, files), name)
    except duckdb.Error as error:
        msg = f"{name}: cannot be read; {describe_engine_error(error)}"
        raise UnreadableError(msg) from error


def _create_view(con: Backend, sql: str) -> ibis.Table:
    view = gen_name("raw")
    con.con.execute(f"CREATE TEMP VIEW {view} AS {sql}")
    return con.table(view)


def _read_parquet(con: Backend, source: Source, files: Sequence[File]) -> ibis.Table:
    paths = ", ".join(sql_literal(file.path) for file in files)
    table = _create_view(
        con,
        "SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS _row, NULL::VARCHAR AS _raw, "
        "NULL::VARCHAR AS _fault "
        f"FROM read_parquet([{paths}], union_by_name = true, filename = '_file', file_row_number = true)",
    )
    _check_columns(source, files[0].path, table.columns)
    return table


def _read_csv(con: Backend, source: Source, header: Sequence[str], files: Sequence[File]) -> ibis.Table:
    delimiter, *columns = header
    _check_columns(source, files[0].path, columns)
    repeated = sorted({column for column in columns if [each.lower() for each in columns].count(column.lower()) > 1})
    if repeated or not all(columns):
        fault = f"has the column {repeated[0]!r} twice" if repeated else "has a column without a name"
        msg = f"{files[0].path}: the header {fault}"
        raise ColumnError(msg)
    queries = [
        f"SELECT *, {sql_literal(file.path)} AS _file FROM ({fields_sql(con, file, columns, delimiter)})"
        for file in files
    ]
    return _create_view(con, " UNION ALL BY NAME ".join(queries))


def _read_log(con: Backend, source: Source, files: Sequence[File]) -> ibis.Table:
    pattern = source.pattern or ""
    groups = list(re.compile(pattern).groupindex)
    columns = ", ".join(f"nullif(v[{sql_literal(key)}], '-') AS {quote_name(key)}" for key in groups)
    captured = f"regexp_extract(_line, {sql_literal(pattern)}, [{', '.join(map(sql_literal, groups))}])"
    queries = [
        f"""
        SELECT {columns}, coalesce(_raw, _line) AS _raw, _row, _file,
            coalesce(_fault, CASE WHEN NOT _ok THEN 'not a line of the log''s format' END) AS _fault
        FROM (
            SELECT *, {sql_literal(file.path)} AS _file, CASE WHEN _ok THEN {captured} END AS v
            FROM (
                SELECT *, coalesce(regexp_matches(_line, {sql_literal(pattern)}), false) AS _ok
                FROM ({lines_sql(con, file)})
            )
            WHERE trim(_line) <> '' OR _fault IS NOT NULL
        )"""
        for file in files
    ]
    return _create_view(con, " UNION ALL ".join(queries))


def _read_json(con: Backend, source: Source, files: Sequence[File]) -> ibis.Table:
    queries = []
    for file in files:
        documents = f"""
            SELECT *, {sql_literal(file.path)} AS _file,
                coalesce(starts_with(ltrim(_line), '{{') AND json_valid(_line), false) AS _ok
            FROM ({_documents_sql(con, file)}) WHERE trim(_line) <> '' OR _fault IS NOT NULL"""
        if not con.con.execute(f"SELECT 1 FROM ({documents}) WHERE _ok LIMIT 1").fetchone():
            msg = f"{file.path}: has no JSON object that can be read"
            raise UnreadableError(msg)
        if "otlp" in source.formats:
            queries.append(_spans_sql(con, source, file, documents))
        else:
            queries.append(_objects_sql(source, documents))
            _check_keys(con, source, file, documents)
    return _create_view(con, " UNION ALL BY NAME ".join(f"({sql})" for sql in queries))


def _documents_sql(con: Backend, file: File) -> str:
    """SQL for a file's JSON texts: `_line`, `_row`, `_raw`, `_fault`."""
    if file.kind == "jsonl":
        return lines_sql(con, file)
    form = "array" if file.kind == "array" else "unstructured"
    return f"""
        SELECT json::VARCHAR AS _line, row_number() OVER () AS _row, NULL::VARCHAR AS _raw, NULL::VARCHAR AS _fault
        FROM read_json_objects({sql_literal(file.path)}, format = '{form}', maximum_object_size = {MAX_OBJECT_BYTES},
            compression = '{"gzip" if file.gzipped else "uncompressed"}')"""


def _objects_sql(source: Source, documents: str) -> str:
    """SQL for JSON objects: a text column for each path that the source reads, all taken in one go."""
    pointers = ", ".join(sql_literal(_pointer(path)) for path in source.paths)
    columns = ", ".join(f"v[{number}] AS {quote_name(path)}" for number, path in enumerate(source.paths, start=1))
    return f"""
        SELECT {columns}, coalesce(_raw, _line) AS _raw, _row, _file,
            coalesce(_fault, CASE WHEN NOT _ok THEN 'not a JSON object' END) AS _fault
        FROM (SELECT *, CASE WHEN _ok THEN json_extract_string(_line, [{pointers}]) END AS v FROM ({documents}))"""


def _spans_sql(con: Backend, source: Source, file: File, documents: str) -> str:
    has = "json_exists(_line, '$.resourceSpans')"
    if not con.con.execute(f"SELECT 1 FROM ({documents}) WHERE _ok AND {has} LIMIT 1").fetchone():
        msg = f"{file.path}: not OTLP JSON traces; no object in it has resourceSpans"
        raise UnreadableError(msg)
    return spans_sql(documents, source.paths)


def _pointer(path: str) -> str:
    return "$" + "".join(f".{quote_name(key)}" for key in split_path(path))


def _check_columns(source: Source, path: Path, columns: Iterable[str]) -> None:
    """Raise a ColumnError where a header lacks a column that the source needs."""
    names = list(columns)
    for column, paths in source.required_paths():
        if not any(each in names or split_path(each)[0] in names for each in paths):
            raise _missing_column(source, path, column, paths, [name for name in names if name not in PLACE])


def _check_keys(con: Backend, source: Source, file: File, documents: str) -> None:
    """Raise a ColumnError where no object has a key that the source needs; the search ends at the first that has it."""
    for column, paths in source.required_paths():
        has_key = " OR ".join(f"json_extract(_line, {sql_literal(_pointer(each))}) IS NOT NULL" for each in paths)
        if con.con.execute(f"SELECT 1 FROM ({documents}) WHERE CASE WHEN _ok THEN {has_key} END LIMIT 1").fetchone():
            continue
        keys = f"SELECT unnest(CASE WHEN _ok THEN json_keys(_line) END) AS key FROM ({documents} LIMIT 1000)"
        names = con.con.execute(f"SELECT DISTINCT key FROM ({keys}) ORDER BY key").fetchall()
        raise _missing_column(source, file.path, column, paths, [name for (name,) in names])


def _missing_column(
    source: Source, path: Path, column: str, wanted: Sequence[str], names: Sequence[str]
) -> ColumnError:
    close = next((match for each in wanted if (match := nearest(each, names))), None)
    hint = f"nearest: {close!r}" if close else _describe_names(source, names)
    return ColumnError(f"{path}: no column for {column}; looked for {' or '.join(map(repr, wanted))}; {hint}")


def _describe_names(source: Source, names: Sequence[str]) -> str:
    """The columns or keys of a file; they are not shown where none is like one of the source's: it is another file."""
    known = {split_path(path)[0] for path in source.paths}
    if not any(nearest(name, known) for name in names[:MAX_NAMES_SHOWN]):
        return f"the file has none of the columns that the source reads: {', '.join(sorted(known)[:MAX_NAMES_SHOWN])}"
    return f"it has: {mask_secrets_in(', '.join(names[:MAX_NAMES_SHOWN]))}"
