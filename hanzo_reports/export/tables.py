"""Tables as files: CSV, JSON, JSON lines and Parquet, with exact money, each written whole or not at all."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from hanzo_reports.atomic_write import open_file
from hanzo_reports.errors import UnknownNameError, UsageError
from hanzo_reports.escapes import neutralise_formula
from hanzo_reports.formats import format_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import ibis

    from hanzo_reports.window import Window

FORMATS = ("csv", "json", "jsonl", "parquet")
BATCH_ROWS = 50_000  # rows in memory at once
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"  # Arrow writes the fraction with %S


def write_table(  # noqa: PLR0913  # a file has that many options
    table: ibis.Table,
    path: Path,
    fmt: str,
    *,
    window: Window | None = None,
    summary: Mapping[str, Any] | None = None,
    spreadsheet: bool = False,
) -> int:
    """Write a table to a file, which appears whole or not at all.

    Args:
        table: on a connection that runs nothing else meanwhile; its rows are streamed.
        path: the file.
        fmt: csv, json, jsonl or parquet. Instants are ISO 8601 in UTC. Money is exact: a JSON number, a plain decimal
            in CSV. NULL is null, in CSV an empty cell.
        window: for JSON, the window that the rows come from.
        summary: for JSON, totals over all rows of the window.
        spreadsheet: for CSV, whether text that a spreadsheet would take for a formula gets an apostrophe in front;
            other tools join on the exact text, so it is off unless a person opens the file.

    Returns:
        The number of rows.

    Raises:
        UnknownNameError: an unknown format.
        UsageError: `spreadsheet` with another format than csv.
        ReportsError: the file cannot be written; nothing is left behind.
    """
    _check_format(fmt, FORMATS, spreadsheet=spreadsheet)
    with open_file(path) as file, table.to_pyarrow_batches(chunk_size=BATCH_ROWS) as batches:
        if fmt == "parquet":
            return _write_parquet(batches, file)
        return _write_text(batches, file, fmt, _json_tail(window, summary), _text_encoder(fmt, spreadsheet=spreadsheet))


def format_table(
    table: pa.Table,
    fmt: str,
    *,
    window: Window | None = None,
    summary: Mapping[str, Any] | None = None,
    spreadsheet: bool = False,
) -> str:
    """A small table as text: csv, json or jsonl, with the arguments of `write_table`."""
    _check_format(fmt, FORMATS[:3], spreadsheet=spreadsheet)
    buffer = io.BytesIO()
    encode_text = _text_encoder(fmt, spreadsheet=spreadsheet)
    _write_text(table.to_reader(BATCH_ROWS), buffer, fmt, _json_tail(window, summary), encode_text)
    return buffer.getvalue().decode()


def _check_format(fmt: str, formats: tuple[str, ...], *, spreadsheet: bool) -> None:
    if fmt not in formats:
        raise UnknownNameError("format", fmt, formats)
    if spreadsheet and fmt != "csv":
        msg = f"the spreadsheet option applies to csv, not to {fmt}; leave it out, or give the format csv"
        raise UsageError(msg)


def _write_text(
    batches: pa.RecordBatchReader, file: IO[bytes], fmt: str, tail: Mapping[str, Any], encode_text: Callable[[str], str]
) -> int:
    row_count = 0
    header = {"csv": ",".join(map(encode_text, batches.schema.names)) + "\n", "json": '{"data": [', "jsonl": ""}
    file.write(header[fmt].encode())
    for batch in batches:
        if batch.num_rows:
            lines = _format_lines(batch, fmt, encode_text)
            file.write(lines[1:] if fmt == "json" and not row_count else lines)  # no comma before the first row
            row_count += batch.num_rows
    if fmt == "json":
        end = "".join(f",\n {json.dumps(name)}: {_format_json(value)}" for name, value in tail.items())
        file.write(f"{chr(10) + ' ' if row_count else ''}]{end}}}\n".encode())
    return row_count


def _format_lines(batch: pa.RecordBatch, fmt: str, encode_text: Callable[[str], str]) -> memoryview:
    """The rows of a batch as text, one line each, joined column by column."""
    parts: list[pa.Array | pa.Scalar] = []
    for number, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        if fmt == "csv":
            parts += [_string_scalar(","), _format_cells(column, encode_text, "")]
        else:
            lead = f"{', ' if number else '{'}{json.dumps(name)}: "
            parts += [_string_scalar(lead), _format_cells(column, encode_text, "null")]
    lead, end = {"csv": ("", "\n"), "json": (",\n  ", "}"), "jsonl": ("", "}\n")}[fmt]
    parts = parts[1:] if fmt == "csv" else parts
    lines = pc.binary_join_element_wise(_string_scalar(lead), *parts, _string_scalar(end), _string_scalar(""))
    return memoryview(lines.buffers()[2])


def _format_cells(column: pa.Array, encode_text: Callable[[str], str], missing: str) -> pa.Array:
    """A column as text: `encode_text` gives the form of a text, `missing` stands for NULL."""
    if pa.types.is_decimal(column.type):
        cells = _string_array(None if value is None else format_decimal(value) for value in column.to_pylist())
    elif pa.types.is_floating(column.type):
        cells = pc.if_else(pc.is_finite(column), column, pa.nulls(1, column.type)[0]).cast(pa.string())
    elif pa.types.is_integer(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
        cells = column.cast(pa.string())
    else:
        if pa.types.is_timestamp(column.type):
            instant = pc.strftime(column.cast(pa.timestamp("us", "UTC")), _INSTANT)
            column = pc.replace_substring_regex(instant, r"\.0+Z", "Z")
        coded = column.cast(pa.string()).dictionary_encode()
        cells = _string_array(encode_text(word) for word in coded.dictionary.to_pylist()).take(coded.indices)
    return pc.coalesce(cells, _string_scalar(missing))


def _string_array(words: Iterable[str | None]) -> pa.Array:
    """Texts as a column; pa.array and pa.scalar would load pandas, which takes a third of a second."""
    builder = pa.lib.StringBuilder()
    builder.append_values(words)
    return builder.finish()


def _string_scalar(word: str) -> pa.Scalar:
    return _string_array([word])[0]


def _text_encoder(fmt: str, *, spreadsheet: bool) -> Callable[[str], str]:
    if fmt != "csv":
        return _encode_json
    return _encode_spreadsheet if spreadsheet else _encode_csv


def _encode_csv(word: str) -> str:
    return f'"{word.replace(chr(34), chr(34) * 2)}"' if re.search('[",\r\n]', word) else word


def _encode_spreadsheet(word: str) -> str:
    return _encode_csv(neutralise_formula(word))


def _encode_json(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)


def _write_parquet(batches: pa.RecordBatchReader, file: IO[bytes]) -> int:
    """Write the rows in the announced types: DuckDB returns sums of integers in wider ones."""
    import pyarrow.parquet as pq  # noqa: PLC0415  # only this format needs it

    row_count, schema = 0, pa.schema([field.with_nullable(nullable=True) for field in batches.schema])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
            row_count += batch.num_rows
    return row_count


def _json_tail(window: Window | None, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    tail: dict[str, Any] = {} if summary is None else {"summary": dict(summary)}
    return tail if window is None else tail | {"window": window.as_json()}


def _format_json(value: object) -> str:
    """A value as JSON; money is a number with its own digits.

    >>> _format_json({"cost": Decimal("854.250000000"), "small": Decimal("0.000000120"), "none": None})
    '{"cost": 854.25, "small": 0.00000012, "none": null}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_format_json(item)}" for name, item in value.items()) + "}"
    return format_decimal(value) if isinstance(value, Decimal) else json.dumps(value)


def manifest_value(value: object) -> object:
    """A value as the manifest stores it: money as text with all of its digits."""
    return format_decimal(value) if isinstance(value, Decimal) else value


def format_json_row(row: Mapping[str, Any]) -> str:
    """A row as JSON: money is a number with its own digits, dates are ISO texts."""
    values = {
        name: value if isinstance(value, Decimal | int | float | None) else str(value) for name, value in row.items()
    }
    return _format_json(values)
