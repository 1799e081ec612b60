"""Files -> raw tables in DuckDB, streamed: CSV, JSON lines, JSON, text lines, OTLP and Parquet, also gzipped."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
from ibis.util import gen_name

from hanzo_reports.errors import ColumnError, UnreadableError, nearest
from hanzo_reports.ingest.files import files
from hanzo_reports.ingest.otlp import spans
from hanzo_reports.ingest.source import segments
from hanzo_reports.ingest.text import fields, lines, name
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import ibis
    from ibis.backends.duckdb import Backend

    from hanzo_reports.ingest.files import File
    from hanzo_reports.ingest.source import Source

PLACE = ("_file", "_row", "_raw", "_fault")
DELIMITERS = ",;\t|"
LARGEST_OBJECT = 1 << 28  # bytes of one JSON object that spans lines
KEYS_SHOWN = 40


@dataclass(frozen=True)
class Raw:
    """Rows as files have them.

    Args:
        table: their columns, and `_file`; `_row`, a row's number in its file, from 1; `_raw`, its text where the file
            is read as text, else NULL; `_fault`, why it could not be read, NULL where it could.
        name: the files, for errors.
        delimiter: what parts the fields of a CSV file; None for other formats.
        typed: whether it is Parquet: columns have types, and reading it again costs no parsing.
    """

    table: ibis.Table
    name: str
    delimiter: str | None = None
    typed: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns that the files themselves have."""
        return [column for column in self.table.columns if column not in PLACE]


def read(con: Backend, source: Source, paths: Sequence[Path]) -> list[Raw]:
    """The rows of files, one raw table for each layout among them.

    Text files are looked through once, to find lines that cannot be read; all else waits until the tables are used.

    Args:
        con: a DuckDB connection, whose time zone is UTC.
        source: what the files are.
        paths: files and folders.

    Raises:
        UnreadableError: a file is missing, empty or not of the source's formats, or a folder has none of them.
        ColumnError: a file lacks a column that the source needs.
    """
    layouts: dict[tuple[str, ...], list[File]] = {}
    for file in files(source, paths):
        layouts.setdefault(_layout(file), []).append(file)
    return [_raw(con, source, kind, header, group) for (kind, *header), group in layouts.items()]


def _layout(file: File) -> tuple[str, ...]:
    """What files must share to be one table: for CSV the delimiter and the header, else how they are read."""
    if file.kind != "csv":
        return ("log",) if file.kind == "log" else ("parquet",) if file.kind == "parquet" else ("json",)
    return ("csv", *header(file.head, file.path))


def header(head: str, path: Path) -> tuple[str, ...]:
    """The delimiter of a CSV file, and the names of its columns.

    Args:
        head: the text that the file begins with.
        path: the file, for errors.

    Raises:
        UnreadableError: it is no header.
    """
    text = head.lstrip("\r\n")
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    try:
        columns = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    except csv.Error as error:
        msg = f"{path}: its first line is no CSV header; {error}"
        raise UnreadableError(msg) from error
    return (delimiter, *(column.strip() for column in columns))


def digest(header: Sequence[str]) -> str:
    """A short hash of what `header` gives, by which a header is known again."""
    return hashlib.sha256("\x1f".join(header).encode()).hexdigest()[:8]


def _raw(con: Backend, source: Source, kind: str, header: Sequence[str], group: Sequence[File]) -> Raw:
    named = ", ".join(str(file.path) for file in group)
    try:
        if kind == "parquet":
            return Raw(_parquet(con, source, group), named, typed=True)
        if kind == "csv":
            return Raw(_csv(con, source, header, group), named, header[0])
        if kind == "log":
            return Raw(_log(con, source, group), named)
        return Raw(_json(con, source, group), named)
    except duckdb.Error as error:
        msg = f"{named}: cannot be read; {str(error).splitlines()[0]}"
        raise UnreadableError(msg) from error


def _view(con: Backend, sql: str) -> ibis.Table:
    view = gen_name("raw")
    con.con.execute(f"CREATE TEMP VIEW {view} AS {sql}")
    return con.table(view)


def _parquet(con: Backend, source: Source, group: Sequence[File]) -> ibis.Table:
    listed = ", ".join(sql_literal(file.path) for file in group)
    table = _view(
        con,
        "SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS _row, NULL::VARCHAR AS _raw, "
        "NULL::VARCHAR AS _fault "
        f"FROM read_parquet([{listed}], union_by_name = true, filename = '_file', file_row_number = true)",
    )
    _demand(source, group[0].path, table.columns)
    return table


def _csv(con: Backend, source: Source, header: Sequence[str], group: Sequence[File]) -> ibis.Table:
    delimiter, *columns = header
    twice = sorted({column for column in columns if [each.lower() for each in columns].count(column.lower()) > 1})
    if twice or not all(columns):
        wrong = f"has the column {twice[0]!r} twice" if twice else "has a column without a name"
        msg = f"{group[0].path}: the header {wrong}"
        raise ColumnError(msg)
    _demand(source, group[0].path, columns)
    each = [
        f"SELECT *, {sql_literal(file.path)} AS _file FROM ({fields(con, file, columns, delimiter)})" for file in group
    ]
    return _view(con, " UNION ALL BY NAME ".join(each))


def _log(con: Backend, source: Source, group: Sequence[File]) -> ibis.Table:
    pattern = source.pattern or ""
    groups = list(re.compile(pattern).groupindex)
    columns = ", ".join(f"nullif(v[{sql_literal(key)}], '-') AS {name(key)}" for key in groups)
    captured = f"regexp_extract(_line, {sql_literal(pattern)}, [{', '.join(map(sql_literal, groups))}])"
    each = [
        f"""
        SELECT {columns}, coalesce(_raw, _line) AS _raw, _row, _file,
            coalesce(_fault, CASE WHEN NOT _ok THEN 'not a line of the log''s format' END) AS _fault
        FROM (
            SELECT *, {sql_literal(file.path)} AS _file, CASE WHEN _ok THEN {captured} END AS v
            FROM (
                SELECT *, coalesce(regexp_matches(_line, {sql_literal(pattern)}), false) AS _ok
                FROM ({lines(con, file)})
            )
            WHERE trim(_line) <> '' OR _fault IS NOT NULL
        )"""
        for file in group
    ]
    return _view(con, " UNION ALL ".join(each))


def _json(con: Backend, source: Source, group: Sequence[File]) -> ibis.Table:
    each = []
    for file in group:
        documents = f"""
            SELECT *, {sql_literal(file.path)} AS _file,
                coalesce(starts_with(ltrim(_line), '{{') AND json_valid(_line), false) AS _ok
            FROM ({_documents(con, file)}) WHERE trim(_line) <> '' OR _fault IS NOT NULL"""
        if not con.con.execute(f"SELECT 1 FROM ({documents}) WHERE _ok LIMIT 1").fetchone():
            msg = f"{file.path}: has no JSON object that can be read"
            raise UnreadableError(msg)
        if "otlp" in source.formats:
            each.append(_spans(con, source, file, documents))
        else:
            each.append(_objects(source, documents))
            _demand_keys(con, source, file, documents)
    return _view(con, " UNION ALL BY NAME ".join(f"({sql})" for sql in each))


def _documents(con: Backend, file: File) -> str:
    """SQL for a file's JSON texts: `_line`, `_row`, `_raw`, `_fault`."""
    if file.kind == "jsonl":
        return lines(con, file)
    form = "array" if file.kind == "array" else "unstructured"
    return f"""
        SELECT json::VARCHAR AS _line, row_number() OVER () AS _row, NULL::VARCHAR AS _raw, NULL::VARCHAR AS _fault
        FROM read_json_objects({sql_literal(file.path)}, format = '{form}', maximum_object_size = {LARGEST_OBJECT},
            compression = '{"gzip" if file.gzipped else "uncompressed"}')"""


def _objects(source: Source, documents: str) -> str:
    """SQL for JSON objects: a text column for each path that the source reads, all taken in one go."""
    pointers = ", ".join(sql_literal(_pointer(path)) for path in source.paths)
    columns = ", ".join(f"v[{number}] AS {name(path)}" for number, path in enumerate(source.paths, start=1))
    return f"""
        SELECT {columns}, coalesce(_raw, _line) AS _raw, _row, _file,
            coalesce(_fault, CASE WHEN NOT _ok THEN 'not a JSON object' END) AS _fault
        FROM (SELECT *, CASE WHEN _ok THEN json_extract_string(_line, [{pointers}]) END AS v FROM ({documents}))"""


def _spans(con: Backend, source: Source, file: File, documents: str) -> str:
    has = "json_exists(_line, '$.resourceSpans')"
    if not con.con.execute(f"SELECT 1 FROM ({documents}) WHERE _ok AND {has} LIMIT 1").fetchone():
        msg = f"{file.path}: not OTLP JSON traces; no object in it has resourceSpans"
        raise UnreadableError(msg)
    return spans(documents, source.paths)


def _pointer(path: str) -> str:
    return "$" + "".join(f".{name(key)}" for key in segments(path))


def _demand(source: Source, path: Path, columns: Iterable[str]) -> None:
    """A look at whether a header has what the source needs."""
    there = list(columns)
    for column, paths in source.needs():
        if not any(each in there or segments(each)[0] in there for each in paths):
            raise _missing(path, column, paths, [each for each in there if each not in PLACE])


def _demand_keys(con: Backend, source: Source, file: File, documents: str) -> None:
    """A look at whether any object has what the source needs; it ends at the first that does."""
    for column, paths in source.needs():
        has = " OR ".join(f"json_extract(_line, {sql_literal(_pointer(each))}) IS NOT NULL" for each in paths)
        if con.con.execute(f"SELECT 1 FROM ({documents}) WHERE CASE WHEN _ok THEN {has} END LIMIT 1").fetchone():
            continue
        keys = f"SELECT unnest(CASE WHEN _ok THEN json_keys(_line) END) AS key FROM ({documents} LIMIT 1000)"
        found = con.con.execute(f"SELECT DISTINCT key FROM ({keys}) ORDER BY key").fetchall()
        raise _missing(file.path, column, paths, [key for (key,) in found])


def _missing(path: Path, column: str, wanted: Sequence[str], there: Sequence[str]) -> ColumnError:
    close = next((found for each in wanted if (found := nearest(each, there))), None)
    hint = f"nearest: {close!r}" if close else f"it has: {', '.join(there[:KEYS_SHOWN])}"
    return ColumnError(f"{path}: no column for {column}; looked for {' or '.join(map(repr, wanted))}; {hint}")
