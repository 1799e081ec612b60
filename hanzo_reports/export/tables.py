"""Tables as files: CSV, JSON, JSON lines, Parquet; money exactly, a file whole or not at all."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from hanzo_reports.atomic_write import open_file
from hanzo_reports.errors import UnknownNameError
from hanzo_reports.formats import format_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import ibis

    from hanzo_reports.window import Window

FORMATS = ("csv", "json", "jsonl", "parquet")
CHUNK = 50_000  # rows held at once
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"  # Arrow writes the fraction with %S


def write(
    table: ibis.Table,
    path: Path,
    fmt: str,
    *,
    window: Window | None = None,
    summary: Mapping[str, Any] | None = None,
) -> int:
    """A table written to a file, which appears whole or not at all.

    Args:
        table: on a connection that runs nothing else meanwhile; its rows are streamed.
        path: the file.
        fmt: csv, json, jsonl or parquet. Instants are ISO 8601 in UTC. Money is exact: a JSON number, a plain decimal
            in CSV. What is not known is null, in CSV an empty cell.
        window: for JSON, the window that was looked at.
        summary: for JSON, totals over all rows of the window.

    Returns:
        The number of rows.

    Raises:
        UnknownNameError: no such format.
        ReportsError: the file cannot be written; nothing is left behind.
    """
    _known(fmt, FORMATS)
    with open_file(path) as file, table.to_pyarrow_batches(chunk_size=CHUNK) as batches:
        if fmt == "parquet":
            return _parquet(batches, file)
        return _texts(batches, batches.schema, file, fmt, _tail(window, summary))


def text(table: pa.Table, fmt: str, *, window: Window | None = None, summary: Mapping[str, Any] | None = None) -> str:
    """A small table as text: csv, json or jsonl, as `write` writes them."""
    _known(fmt, FORMATS[:3])
    buffer = io.BytesIO()
    _texts(table.to_batches(CHUNK), table.schema, buffer, fmt, _tail(window, summary))
    return buffer.getvalue().decode()


def _known(fmt: str, formats: tuple[str, ...]) -> None:
    if fmt not in formats:
        raise UnknownNameError("format", fmt, formats)


def _texts(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, file: IO[bytes], fmt: str, tail: Mapping[str, Any]
) -> int:
    rows = 0
    file.write({"csv": ",".join(map(_quoted, schema.names)) + "\n", "json": '{"data": [', "jsonl": ""}[fmt].encode())
    for batch in batches:
        if batch.num_rows:
            text = _lines(batch, fmt)
            file.write(text[1:] if fmt == "json" and not rows else text)  # no comma before the first row
            rows += batch.num_rows
    if fmt == "json":
        end = "".join(f",\n {json.dumps(name)}: {_json(value)}" for name, value in tail.items())
        file.write(f"{chr(10) + ' ' if rows else ''}]{end}}}\n".encode())
    return rows


def _lines(batch: pa.RecordBatch, fmt: str) -> memoryview:
    """The rows of a batch as text, a line each, put together by column."""
    parts: list[pa.Array | pa.Scalar] = []
    for number, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        if fmt == "csv":
            parts += [_word(","), _cells(column, _quoted, "")]
        else:
            parts += [_word(f"{', ' if number else '{'}{json.dumps(name)}: "), _cells(column, _dumped, "null")]
    lead, end = {"csv": ("", "\n"), "json": (",\n  ", "}"), "jsonl": ("", "}\n")}[fmt]
    parts = parts[1:] if fmt == "csv" else parts
    lines = pc.binary_join_element_wise(_word(lead), *parts, _word(end), _word(""))
    return memoryview(lines.buffers()[2])


def _cells(column: pa.Array, written: Callable[[str], str], missing: str) -> pa.Array:
    """A column as text; `written` gives a text's own form, `missing` stands for what is not known."""
    if pa.types.is_decimal(column.type):
        text = _words(None if value is None else format_decimal(value) for value in column.to_pylist())
    elif pa.types.is_floating(column.type):
        text = pc.if_else(pc.is_finite(column), column, pa.nulls(1, column.type)[0]).cast(pa.string())
    elif pa.types.is_integer(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
        text = column.cast(pa.string())
    else:
        if pa.types.is_timestamp(column.type):
            instant = pc.strftime(column.cast(pa.timestamp("us", "UTC")), _INSTANT)
            column = pc.replace_substring_regex(instant, r"\.0+Z", "Z")
        coded = column.cast(pa.string()).dictionary_encode()
        text = _words(written(word) for word in coded.dictionary.to_pylist()).take(coded.indices)
    return pc.coalesce(text, _word(missing))


def _words(words: Iterable[str | None]) -> pa.Array:
    """Texts as a column; pa.array and pa.scalar would load pandas, which takes a third of a second."""
    builder = pa.lib.StringBuilder()
    builder.append_values(words)
    return builder.finish()


def _word(text: str) -> pa.Scalar:
    return _words([text])[0]


def _quoted(word: str) -> str:
    """A text as a cell of CSV."""
    return f'"{word.replace(chr(34), chr(34) * 2)}"' if re.search('[",\r\n]', word) else word


def _dumped(word: str) -> str:
    """A text as JSON."""
    return json.dumps(word, ensure_ascii=False)


def _parquet(batches: pa.RecordBatchReader, file: IO[bytes]) -> int:
    """The rows as Parquet, in the announced types: DuckDB gives sums of integers in wider ones."""
    import pyarrow.parquet as pq  # noqa: PLC0415  # the other formats need it not

    rows, schema = 0, pa.schema([field.with_nullable(nullable=True) for field in batches.schema])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
            rows += batch.num_rows
    return rows


def _tail(window: Window | None, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    tail: dict[str, Any] = {} if summary is None else {"summary": dict(summary)}
    return tail if window is None else tail | {"window": window.as_json()}


def _json(value: object) -> str:
    """A value as JSON; money is a number with its own digits.

    >>> _json({"cost": Decimal("854.250000000"), "small": Decimal("0.000000120"), "none": None})
    '{"cost": 854.25, "small": 0.00000012, "none": null}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_json(item)}" for name, item in value.items()) + "}"
    return format_decimal(value) if isinstance(value, Decimal) else json.dumps(value)


def plain(value: object) -> object:
    """A value as the manifest holds it: money as a text with all of its digits."""
    return format_decimal(value) if isinstance(value, Decimal) else value


def json_text(row: Mapping[str, Any]) -> str:
    """A row as JSON: money is a number with its own digits; dates are ISO texts."""
    plain = {
        name: value if isinstance(value, Decimal | int | float | None) else str(value) for name, value in row.items()
    }
    return _json(plain)
