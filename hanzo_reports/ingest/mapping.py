"""A source's rows -> the event's columns, by its TOML; a row that cannot be an event has its reasons beside it."""

from __future__ import annotations

import functools
import operator
import re
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.ingest.cells import cells, joined, meets
from hanzo_reports.ingest.columns import TYPES, Check, column, limits, required_text
from hanzo_reports.ingest.keys import hashed, masked
from hanzo_reports.ingest.readers import digest
from hanzo_reports.ingest.source import MAPPABLE, load_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from hanzo_reports.ingest.readers import Raw
    from hanzo_reports.ingest.source import Source

__all__ = ["load_source", "project"]

LATENCIES = ("latency_ms", "time_to_first_token_ms")
FAILED = 400
_PLACE = ("_file", "_row", "_raw", "_fault")


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def to_json(value) -> str:  # type: ignore[no-untyped-def, empty-body]  # noqa: ANN001  # any type at all
    """DuckDB: a value as JSON."""


def project(raws: Sequence[Raw], source: Source) -> ibis.Table:
    """The rows of files as events, the good and the bad.

    Args:
        raws: what `readers.read` gave.
        source: how to map it.

    Returns:
        One row per request: the event's columns but ingested_at, then `_reason` (NULL: a good row; else reasons joined
        by "; "), `_raw` (a bad row's text, secrets masked; NULL for good rows), `_file`, `_row` (from 1), `_header` (of
        CSV, a hash of the file's first line; else NULL), and, where the source ranks rows with one id, `_version`.

    Raises:
        ColumnError: a column of a Parquet file has a type that cannot be what it is mapped to.
        MappingError: a constant is not of its column's type.
    """
    return functools.reduce(ibis.union, [_projected(raw, source) for raw in raws])


def _projected(raw: Raw, source: Source) -> ibis.Table:
    table = raw.table
    for only in source.only:
        table = table.filter(table["_fault"].notnull() | meets(table, only))
    ways = source.columns | ({"_version": (source.rules.newest,)} if source.rules.newest else {})
    read = {
        (name, number, part): cell
        for name, alternatives in ways.items()
        for number, way in enumerate(alternatives)
        for part, cell in enumerate(cells(table, way, empty=required_text(name, alternatives)))
    }
    whole = ibis.struct({name: table[name] for name in raw.columns})
    rows = table.select(*_PLACE, _whole=whole, **{_label(*place): cell for place, cell in read.items()})

    def of(name: str, number: int) -> list[ir.Value]:
        return [rows[_label(*place)] for place in read if place[:2] == (name, number)]

    found = {
        name: column(rows, name, [(way, of(name, number)) for number, way in enumerate(each)], source.base, raw.name)
        for name, each in ways.items()
    }
    values = {name: found[name].value if name in found else ibis.null(TYPES[name]) for name in (*MAPPABLE, *found)}
    events = rows.mutate(**values)
    checks = [check for name in ways for check in found[name].checks]
    checks += [check for name in ways if name in MAPPABLE for check in limits(name, events[name])]
    keys = [cell.cast("string") for number in range(len(ways.get("api_key", ()))) for cell in of("api_key", number)]
    return _judged(events, checks, keys, source, raw)


def _judged(
    events: ibis.Table, checks: Sequence[Check], keys: Sequence[ir.StringValue], source: Source, raw: Raw
) -> ibis.Table:
    """Events with their reasons, a bad row's text, and without secrets."""
    bad = functools.reduce(operator.or_, [check.bad for check in checks])
    reasons = functools.reduce(operator.add, [ibis.ifelse(check.bad, check.reason + "; ", "") for check in checks])
    reason = ibis.cases(
        (events["_fault"].notnull(), events["_fault"]),
        (bad, reasons.re_replace("; $", "")),
        else_=ibis.null("string"),
    )
    text = masked(events["_raw"].coalesce(_text(events["_whole"], raw)), ibis.coalesce(*keys) if keys else None)
    values = {name: events[name] for name in MAPPABLE}
    if "api_key" in source.columns:
        values["api_key"] = hashed(events["api_key"])
    if source.rules.failed_latency_zero_is_null:
        failed = events["status"] >= FAILED
        values |= {
            name: ibis.ifelse(failed & (events[name] == 0), ibis.null("float64"), events[name]) for name in LATENCIES
        }
    if source.newest:
        values[source.newest] = events[source.newest]
    return events.select(
        **values,
        _reason=reason,
        _raw=ibis.ifelse(reason.notnull(), text, ibis.null("string")),
        _file=events["_file"],
        _row=events["_row"],
        _header=ibis.null("string") if raw.delimiter is None else ibis.literal(digest((raw.delimiter, *raw.columns))),
    )


def _text(whole: ir.StructValue, raw: Raw) -> ir.StringValue:
    """A row's text: as CSV where it came from CSV, else as JSON."""
    if raw.delimiter is None:
        return ibis.literal("") + to_json(whole)  # DuckDB's JSON is a type of its own, and what cannot be read is none
    special = f'["\n\r{re.escape(raw.delimiter)}]'
    fields = [whole[name].fill_null("") for name in raw.columns]
    quoted = [ibis.ifelse(f.re_search(special), '"' + f.replace('"', '""') + '"', f) for f in fields]
    return joined(quoted, raw.delimiter)


def _label(name: str, number: int, part: int) -> str:
    return f"{name}:{number}:{part}"
