"""The value at a path of a raw row, before it is converted to a column's type."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from hanzo_reports.ingest.source import split_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.ingest.source import ColumnRule, RowFilter, Scalar

_SEPARATOR, _MISSING = "\x1f", "\x1e"  # control characters that no log has in a field


@ibis.udf.scalar.builtin(signature=((dt.string,), dt.boolean))  # type: ignore[untyped-decorator]
def json_valid(text: object) -> object:
    """DuckDB: whether a text is JSON."""


@ibis.udf.scalar.builtin(signature=((dt.string, dt.string), dt.string))  # type: ignore[untyped-decorator]
def json_extract_string(text: object, path: object) -> object:
    """DuckDB: the value at a path of a JSON text, without its quotes."""


def value_at(table: ir.Table, path: str) -> ir.Value | None:
    """The value at a path; None where the table has no such column.

    A path is a column's own name, or goes on from a column into its struct, map or JSON text.
    """
    if path in table.columns:
        return table[path]
    first, *keys = split_path(path)
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


def extract_cells(table: ir.Table, rule: ColumnRule, *, keep_empty: bool = False) -> list[ir.Value]:
    """Extract what a rule reads from each row, one cell for each value that it combines; empty texts become NULL.

    Args:
        table: the raw table.
        rule: what to read.
        keep_empty: a column taken as it is may keep its empty texts: to test each costs as much as to read it.
    """
    if keep_empty and rule.from_ and not (rule.null or rule.part or rule.map):
        values = [value for path in rule.from_ if (value := value_at(table, path)) is not None]
        if len(values) == 1:
            return values
    if rule.join:
        return [join_texts([_first_value(table, (path,)).cast("string") for path in rule.join], "-")]
    if rule.hash:
        parts = [_first_value(table, (path,)).cast("string").fill_null(_MISSING) for path in rule.hash]
        return [join_texts(parts, _SEPARATOR).hexdigest("md5")]
    if rule.from_:
        return [_shape(_first_value(table, rule.from_), rule)]
    return [_drop_nulls(_first_value(table, group), rule.null) for group in rule.sum or rule.between or ()]


def meets_filter(table: ir.Table, row_filter: RowFilter) -> ir.BooleanValue:
    """Whether a raw row meets a condition."""
    text = _first_value(table, row_filter.from_).cast("string")
    meets = ibis.literal(True) if row_filter.not_ else text.notnull()  # noqa: FBT003
    if row_filter.values:
        meets = text.isin(row_filter.values).fill_null(False)  # noqa: FBT003
    if row_filter.not_:
        meets = meets & text.notin(row_filter.not_).fill_null(True)  # noqa: FBT003
    return meets


def join_texts(texts: Sequence[ir.StringValue], separator: str) -> ir.StringValue:
    """Texts with a separator between them; NULL where one of them is."""
    return functools.reduce(lambda before, text: before + separator + text, texts)


def _first_value(table: ir.Table, paths: Sequence[str]) -> ir.Value:
    """The first of some paths that has a value."""
    values = [_drop_nulls(value) for path in paths if (value := value_at(table, path)) is not None]
    if not values:
        return ibis.null("string")
    if len({value.type() for value in values}) > 1:
        values = [value.cast("string") for value in values]
    return ibis.coalesce(*values) if len(values) > 1 else values[0]


def _drop_nulls(value: ir.Value, null: Sequence[str] = ()) -> ir.Value:
    """A value, NULL where its text means that there is none."""
    if value.type().is_string():
        value = value.nullif("")
    if null:
        text = value.cast("string")
        value = ibis.ifelse(text.isin(null), ibis.null(value.type()), value)
    return value


def _shape(value: ir.Value, rule: ColumnRule) -> ir.Value:
    """The part of a value that the rule takes, with its replacements."""
    value = _drop_nulls(value, rule.null) if rule.null else value
    if rule.part:
        text = value.cast("string")
        slash = text.find("/")
        part = text.substr(0, slash) if rule.part == "prefix" else text.substr(slash + 1)
        value = ibis.ifelse(slash > 0, part, ibis.null("string") if rule.part == "prefix" else text)
    if rule.map is None:
        return value
    text = value.cast("string")
    branches = [(ibis.literal(key), ibis.literal(_as_text(replacement))) for key, replacement in rule.map.items()]
    otherwise = text if rule.other is None else ibis.ifelse(text.notnull(), _as_text(rule.other), ibis.null("string"))
    return text.cases(*branches, else_=otherwise).nullif("")


def _as_text(scalar: Scalar) -> str:
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)
