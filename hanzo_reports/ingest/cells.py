"""What stands in a raw row at a path, before it is turned into a column's type."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from hanzo_reports.ingest.source import segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.ingest.source import Only, Scalar, Way

_SEPARATOR, _NOTHING = "\x1f", "\x1e"  # control characters that no log has in a field


@ibis.udf.scalar.builtin(signature=((dt.string,), dt.boolean))  # type: ignore[untyped-decorator]
def json_valid(text: object) -> object:
    """DuckDB: whether a text is JSON."""


@ibis.udf.scalar.builtin(signature=((dt.string, dt.string), dt.string))  # type: ignore[untyped-decorator]
def json_extract_string(text: object, path: object) -> object:
    """DuckDB: what stands at a path of a JSON text, without its quotes."""


def at(table: ir.Table, path: str) -> ir.Value | None:
    """What a table has at a path; None where it has no such column.

    A path is a column's own name, or goes on from a column into its struct, map or JSON text.
    """
    if path in table.columns:
        return table[path]
    first, *keys = segments(path)
    if first not in table.columns:
        return None
    value: ir.Value = table[first]
    while keys and (value.type().is_struct() or value.type().is_map()):
        key = keys.pop(0)
        if value.type().is_struct() and key not in value.type().names:
            return None
        value = value[key]
    if not keys:
        return value
    if not (value.type().is_string() or value.type().is_json()):
        return None
    text = value.cast("string")
    pointer = "$" + "".join(f'."{key}"' for key in keys)
    return ibis.ifelse(json_valid(text), json_extract_string(text, pointer), ibis.null("string"))


def cells(table: ir.Table, way: Way, *, empty: bool = False) -> list[ir.Value]:
    """What a way reads from each row of a raw table, one cell for each thing that it combines; empty texts are NULL.

    Args:
        table: the raw table.
        way: what to read.
        empty: a column taken as it is may keep its empty texts: to look at each of them costs as much as to read them.
    """
    if empty and way.from_ and not (way.null or way.part or way.map):
        there = [value for path in way.from_ if (value := at(table, path)) is not None]
        if len(there) == 1:
            return there
    if way.join:
        return [joined([_first(table, (path,)).cast("string") for path in way.join], "-")]
    if way.hash:
        parts = [_first(table, (path,)).cast("string").fill_null(_NOTHING) for path in way.hash]
        return [joined(parts, _SEPARATOR).hexdigest("md5")]
    if way.from_:
        return [_shaped(_first(table, way.from_), way)]
    return [_cleaned(_first(table, group), way.null) for group in way.sum or way.between or ()]


def meets(table: ir.Table, only: Only) -> ir.BooleanValue:
    """Whether a raw row meets a condition."""
    text = _first(table, only.from_).cast("string")
    meeting = ibis.literal(True) if only.not_ else text.notnull()  # noqa: FBT003
    if only.values:
        meeting = text.isin(only.values).fill_null(False)  # noqa: FBT003
    if only.not_:
        meeting = meeting & text.notin(only.not_).fill_null(True)  # noqa: FBT003
    return meeting


def _first(table: ir.Table, paths: Sequence[str]) -> ir.Value:
    """The first of some paths that has a value."""
    values = [_cleaned(value) for path in paths if (value := at(table, path)) is not None]
    if not values:
        return ibis.null("string")
    if len({value.type() for value in values}) > 1:
        values = [value.cast("string") for value in values]
    return ibis.coalesce(*values) if len(values) > 1 else values[0]


def _cleaned(value: ir.Value, null: Sequence[str] = ()) -> ir.Value:
    """A value without the texts that mean that there is none."""
    if value.type().is_string():
        value = value.nullif("")
    if null:
        text = value.cast("string")
        value = ibis.ifelse(text.isin(null), ibis.null(value.type()), value)
    return value


def _shaped(value: ir.Value, way: Way) -> ir.Value:
    """A value with its part taken and its map applied."""
    value = _cleaned(value, way.null) if way.null else value
    if way.part:
        text = value.cast("string")
        slash = text.find("/")
        part = text.substr(0, slash) if way.part == "prefix" else text.substr(slash + 1)
        value = ibis.ifelse(slash > 0, part, ibis.null("string") if way.part == "prefix" else text)
    if way.map is None:
        return value
    text = value.cast("string")
    branches = [(ibis.literal(key), ibis.literal(_text(put))) for key, put in way.map.items()]
    otherwise = text if way.other is None else ibis.ifelse(text.notnull(), _text(way.other), ibis.null("string"))
    return text.cases(*branches, else_=otherwise).nullif("")


def joined(texts: Sequence[ir.StringValue], separator: str) -> ir.StringValue:
    """Texts with a separator between them; NULL where one of them is."""
    return functools.reduce(lambda before, text: before + separator + text, texts)


def _text(scalar: Scalar) -> str:
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)
