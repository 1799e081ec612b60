"""A source's rows -> the event's columns, by its mapping; a row that cannot be an event has its reasons beside it."""

from __future__ import annotations

import functools
import operator
import re
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.ingest.cells import extract_cells, join_texts, meets_filter
from hanzo_reports.ingest.columns import TYPES, Check, is_required_text, map_column, range_checks
from hanzo_reports.ingest.csv_header import hash_header
from hanzo_reports.ingest.event_texts import clean_texts
from hanzo_reports.ingest.redaction import MASK, is_secret_name, mask_key
from hanzo_reports.ingest.source import MAPPED_COLUMNS, VERSION_COLUMN
from hanzo_reports.ingest.staging import name_rows, stage_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import ibis.expr.types as ir

    from hanzo_reports.ingest.plan import LoadPlan
    from hanzo_reports.ingest.read import RawTable
    from hanzo_reports.ingest.source import Source

LATENCIES = ("latency_ms", "time_to_first_token_ms")
FAILED_STATUS = 400  # and above
_PLACE = ("_file", "_row", "_raw", "_fault")


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def to_json(value) -> str:  # type: ignore[no-untyped-def, empty-body]  # noqa: ANN001  # any type at all
    """DuckDB: a value as JSON."""


def map_rows(raw_tables: Sequence[RawTable], plan: LoadPlan, folder: Path) -> ibis.Table:
    """Map the rows of files to events, the good and the bad, and clean their texts.

    Args:
        raw_tables: what `read.read_files` returns.
        plan: the load.
        folder: for a temporary copy of the mapped rows, so that their files are parsed once.

    Returns:
        One row per request: the event's columns but ingested_at, then `_reason` (NULL: a good row; else reasons joined
        by "; "), `_raw` (a bad row's text; NULL for good rows; `redaction.clean_rejected` has still to mask both),
        `_file`, `_row` (from 1), `_header` (of CSV, a hash of the file's first line; else NULL), `shortened` (whether a
        text was cut), and, where the source ranks rows with one id, `_version`.

    Raises:
        ColumnError: a column of a Parquet file has a type that cannot be what it is mapped to.
    """
    tables, texts = zip(*(_map_table(raw, plan.source) for raw in raw_tables), strict=True)
    rows = functools.reduce(ibis.union, tables)
    if plan.cheap_to_reread:
        return clean_texts(name_rows(rows), functools.reduce(ibis.union, texts))
    rows = stage_rows(rows, folder / "mapped.parquet")
    return clean_texts(rows, rows.select(*(name for name in plan.source.columns if TYPES[name].is_string())))


def _map_table(raw: RawTable, source: Source) -> tuple[ibis.Table, ibis.Table]:
    """The rows of a layout as events, and their texts alone, which are fast to search."""
    table = raw.table
    for row_filter in source.only:
        table = table.filter(table["_fault"].notnull() | meets_filter(table, row_filter))
    rules = source.columns | ({VERSION_COLUMN: (source.rules.newest,)} if source.rules.newest else {})
    cells = {
        (name, number, part): cell
        for name, alternatives in rules.items()
        for number, rule in enumerate(alternatives)
        for part, cell in enumerate(extract_cells(table, rule, keep_empty=is_required_text(name, alternatives)))
    }
    whole = ibis.struct({name: table[name] for name in raw.columns})
    rows = table.select(*_PLACE, _whole=whole, **{_label(*place): cell for place, cell in cells.items()})

    def cells_of(name: str, number: int) -> list[ir.Value]:
        return [rows[_label(*place)] for place in cells if place[:2] == (name, number)]

    columns = {
        name: map_column(
            rows,
            name,
            [(rule, cells_of(name, number)) for number, rule in enumerate(alternatives)],
            source.base,
            raw.name,
        )
        for name, alternatives in rules.items()
    }
    values = {
        name: columns[name].value if name in columns else ibis.null(TYPES[name]) for name in (*MAPPED_COLUMNS, *columns)
    }
    events = rows.mutate(**values)
    checks = [check for name in rules for check in columns[name].checks]
    checks += [check for name in rules if name in MAPPED_COLUMNS for check in range_checks(name, events[name])]
    keys = [
        cell.cast("string") for number in range(len(rules.get("api_key", ()))) for cell in cells_of("api_key", number)
    ]
    texts = rows.select(**{name: columns[name].value for name in source.columns if TYPES[name].is_string()})
    return _add_reasons(events, checks, keys, source, raw), texts


def _add_reasons(
    events: ibis.Table, checks: Sequence[Check], keys: Sequence[ir.StringValue], source: Source, raw: RawTable
) -> ibis.Table:
    """Events with their reasons, and a bad row's text."""
    fails = functools.reduce(operator.or_, [check.fails for check in checks])
    reasons = functools.reduce(operator.add, [ibis.ifelse(check.fails, check.reason + "; ", "") for check in checks])
    reason = ibis.cases(
        (events["_fault"].notnull(), events["_fault"]),
        (fails, reasons.re_replace("; $", "")),
        else_=ibis.null("string"),
    )
    text = events["_raw"].coalesce(_row_text(events["_whole"], raw))
    text = mask_key(text, ibis.coalesce(*keys)) if keys else text
    values = {name: events[name] for name in MAPPED_COLUMNS}
    if source.rules.failed_latency_zero_is_null:
        failed = events["status"] >= FAILED_STATUS
        values |= {
            name: ibis.ifelse(failed & (events[name] == 0), ibis.null("float64"), events[name]) for name in LATENCIES
        }
    if source.version_column:
        values[source.version_column] = events[source.version_column]
    return events.select(
        **values,
        _reason=reason,
        _raw=ibis.ifelse(reason.notnull(), text, ibis.null("string")),
        _file=events["_file"],
        _row=events["_row"],
        _header=ibis.literal(hash_header(raw.header)) if raw.header else ibis.null("string"),
    )


def _row_text(whole: ir.StructValue, raw: RawTable) -> ir.StringValue:
    """A row's text: as CSV where it came from CSV, else as JSON."""
    if not raw.header:
        return ibis.literal("") + to_json(whole)  # DuckDB's JSON is a type of its own, and what cannot be read is none
    delimiter = raw.header[0]
    special = f'["\n\r{re.escape(delimiter)}]'
    fields = [_field_text(whole[name].fill_null(""), name) for name in raw.columns]
    quoted = [ibis.ifelse(f.re_search(special), '"' + f.replace('"', '""') + '"', f) for f in fields]
    return join_texts(quoted, delimiter)


def _field_text(text: ir.StringValue, name: str) -> ir.StringValue:
    return ibis.ifelse(text == "", text, MASK) if is_secret_name(name) else text


def _label(name: str, number: int, part: int) -> str:
    return f"{name}:{number}:{part}"
