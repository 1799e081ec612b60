"""What a source logs, converted to the type of an event's column; a value that cannot be is reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from hanzo_reports.errors import ColumnError
from hanzo_reports.ingest.source import MAX_SCALE_DIGITS, scale_digits

if TYPE_CHECKING:
    from hanzo_reports.ingest.source import ColumnRule

INSTANT = dt.Timestamp(timezone="UTC", scale=6)
NUMBER = dt.Decimal(28, 9)
FIRST, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MICROSECONDS = {"s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001")}
_END_MICROSECOND = int(END.timestamp()) * 1_000_000
_LARGEST_FLOAT = 1.7e308  # beyond it a number is infinite or NaN
_RANGE_TEXT = f"outside {FIRST.year}..{END.year - 1}"
_OFFSET = r":\d\d.*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"


@ibis.udf.scalar.builtin(signature=((dt.int64,), INSTANT))  # type: ignore[untyped-decorator]
def make_timestamptz(microseconds: object) -> object:
    """DuckDB: the instant so many microseconds after 1970."""


@ibis.udf.scalar.builtin(signature=((dt.string, dt.timestamp), INSTANT))  # type: ignore[untyped-decorator]
def timezone(zone: object, local: object) -> object:
    """DuckDB: the instant of a local time."""


@ibis.udf.scalar.builtin(signature=((dt.string, dt.string), dt.timestamp))  # type: ignore[untyped-decorator]
def try_strptime(text: object, pattern: object) -> object:
    """DuckDB: a time by pattern, or NULL."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), INSTANT))  # type: ignore[untyped-decorator]
def offset_strptime(text: object, pattern: object) -> object:
    """DuckDB: an instant by a pattern that has an offset, or NULL."""


@dataclass(frozen=True)
class Converted:
    """A cell converted to a column's type.

    Args:
        value: NULL where the cell has no value, or one that cannot be converted.
        fails: whether the cell has a value that cannot be converted; None: that cannot happen.
        reason: what is wrong with such a value.
    """

    value: ir.Value
    fails: ir.BooleanValue | None = None
    reason: str = ""


def convert(cell: ir.Value, dtype: dt.DataType, rule: ColumnRule, base: datetime | None, where: str) -> Converted:
    """Convert a cell to the type of an event's column.

    Args:
        cell: text, or a typed column of a Parquet file; empty texts are NULL already.
        dtype: the event column's type.
        rule: how to read it.
        base: the instant that offsets count from.
        where: the column and file, for the error.

    Raises:
        ColumnError: the cell's type can never be the column's.
    """
    if dtype.is_string():
        return Converted(cell if cell.type().is_string() else cell.cast("string"))
    if dtype.is_timestamp():
        return _convert_instant(cell, rule, base, where)
    if not (cell.type().is_string() or cell.type().is_numeric()) or cell.type().is_boolean():
        msg = f"{where}: the file has {cell.type()} there, the event needs a number"
        raise ColumnError(msg)
    if dtype.is_integer():
        return _convert_integer(cell, dtype, rule.scale)
    if dtype.is_decimal():
        return _convert_money(cell, dtype, rule.scale)
    return _convert_float(cell, rule.scale)


def _to_decimal(cell: ir.Value) -> ir.DecimalValue:
    """A number in decimal digits, exactly as logged; a float has the fewest that tell it from its neighbours."""
    return (cell.cast("string") if cell.type().is_floating() else cell).try_cast(NUMBER)


def _multiply(number: ir.DecimalValue, factor: Decimal) -> ir.DecimalValue:
    """Decimal digits times a constant, without a float on the way."""
    width, places = scale_digits(factor)
    return number * ibis.literal(factor, dt.Decimal(min(width, MAX_SCALE_DIGITS), places))


def _convert_integer(cell: ir.Value, dtype: dt.DataType, scale: Decimal | None) -> Converted:
    number = cell if scale is None else _multiply(_to_decimal(cell), scale)
    kind = number.type()
    if kind == dtype:
        return Converted(number)
    if kind.is_signed_integer() and kind.nbytes <= dtype.nbytes:
        return Converted(number.cast(dtype))
    value = number.try_cast(dtype)
    fails = value.isnull()
    if not kind.is_integer():
        fails = fails | (value.cast("float64") != number.try_cast("float64"))
    return Converted(value, cell.notnull() & fails, "is not a whole number" if kind.is_numeric() else "is not a number")


def _convert_money(cell: ir.Value, dtype: dt.DataType, scale: Decimal | None) -> Converted:
    if scale is None and cell.type() == dtype:
        return Converted(cell)
    number = _to_decimal(cell)
    value = (number if scale is None else _multiply(number, scale)).try_cast(dtype)
    return Converted(value, cell.notnull() & value.isnull(), "is not a number")


def _convert_float(cell: ir.Value, scale: Decimal | None) -> Converted:
    value = cell if cell.type() == dt.float64 else cell.try_cast("float64")
    fails = ~value.between(-_LARGEST_FLOAT, _LARGEST_FLOAT)
    if cell.type().is_string():
        fails = value.isnull() | fails
    if scale is not None:
        value = value * float(scale)
    return Converted(value, cell.notnull() & fails, "is not a number")


def _convert_instant(cell: ir.Value, rule: ColumnRule, base: datetime | None, where: str) -> Converted:
    kind = cell.type()
    if kind.is_timestamp() or kind.is_date():
        zoned = kind.is_timestamp() and kind.timezone is not None
        value = cell if zoned else timezone(rule.zone, cell.cast("timestamp"))
        value = value if value.type() == INSTANT else value.cast(INSTANT)
        return Converted(value, _is_out_of_range(value), f"is {_RANGE_TEXT}")
    if rule.time == "iso" or "%" in rule.time:
        if not kind.is_string():
            msg = f"{where}: the file has {kind} there, the event needs a time; give time = 'epoch_s' or what it counts"
            raise ColumnError(msg)
        value = _parse_instant(cell, rule)
        return Converted(
            value, cell.notnull() & (value.isnull() | _is_out_of_range(value)), f"is not a time, or {_RANGE_TEXT}"
        )
    if not (kind.is_string() or kind.is_numeric()) or kind.is_boolean():
        msg = f"{where}: the file has {kind} there, the event needs a number that counts time"
        raise ColumnError(msg)
    unit = rule.time.partition("_")[2]
    microseconds = _multiply(_to_decimal(cell), _MICROSECONDS[unit]).floor().try_cast("int64")
    if base is not None and rule.time.startswith("offset"):
        microseconds = microseconds + int(base.timestamp()) * 1_000_000 + base.microsecond
    known = (microseconds >= 0) & (microseconds < _END_MICROSECOND)
    value = ibis.ifelse(known, make_timestamptz(microseconds), ibis.null(INSTANT))
    return Converted(value, cell.notnull() & ~known.fill_null(False), f"is not a time, or {_RANGE_TEXT}")  # noqa: FBT003


def _is_out_of_range(instant: ir.TimestampValue) -> ir.BooleanValue:
    """Whether an instant is implausible; by comparisons, which the statistics of a Parquet file can answer."""
    return (instant < ibis.literal(FIRST, INSTANT)) | (instant >= ibis.literal(END, INSTANT))


def _parse_instant(text: ir.StringValue, rule: ColumnRule) -> ir.TimestampValue:
    """A text as an instant; one without an offset is local to the rule's zone."""
    if "%z" in rule.time:
        return offset_strptime(text, rule.time)
    if "%" in rule.time:
        return timezone(rule.zone, try_strptime(text, rule.time))
    if rule.zone == "UTC":
        return text.try_cast(INSTANT)
    local = timezone(rule.zone, text.try_cast("timestamp"))
    return ibis.ifelse(text.re_search(_OFFSET), text.try_cast(INSTANT), local)
