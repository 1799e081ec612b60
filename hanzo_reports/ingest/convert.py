"""What a source wrote, as a value of an event's column; what cannot be one says so, and never becomes NULL unseen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from hanzo_reports.errors import ColumnError, MappingError

if TYPE_CHECKING:
    from hanzo_reports.ingest.source import Way

INSTANT = dt.Timestamp(timezone="UTC", scale=6)
NUMBER = dt.Decimal(28, 9)
WIDEST_SCALE = 10  # digits; times a NUMBER that is DuckDB's widest decimal
FIRST, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MICROSECONDS = {"s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001")}
_END_MICROSECOND = int(END.timestamp()) * 1_000_000
_LARGEST = 1.7e308  # beyond it a number is infinite or none
_RANGE = f"outside {FIRST.year}..{END.year - 1}"
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
    """A cell turned into a column's type.

    Args:
        value: NULL where the cell has none, or one that cannot be turned.
        bad: whether the cell has a value that cannot be turned; None: that cannot happen.
        why: what is wrong then.
    """

    value: ir.Value
    bad: ir.BooleanValue | None = None
    why: str = ""


def converted(cell: ir.Value, dtype: dt.DataType, way: Way, base: datetime | None, where: str) -> Converted:
    """A cell as a value of an event's column.

    Args:
        cell: text, or a typed column of a Parquet file; empty texts are NULL already.
        dtype: the event column's type.
        way: how to read it.
        base: the instant that offsets count from.
        where: the column and file, for the error.

    Raises:
        ColumnError: the cell's type can never be the column's.
    """
    if dtype.is_string():
        return Converted(cell if cell.type().is_string() else cell.cast("string"))
    if dtype.is_timestamp():
        return _instant(cell, way, base, where)
    if not (cell.type().is_string() or cell.type().is_numeric()) or cell.type().is_boolean():
        msg = f"{where}: the file has {cell.type()} there, the event needs a number"
        raise ColumnError(msg)
    if dtype.is_integer():
        return _whole(cell, dtype, way.scale)
    if dtype.is_decimal():
        return _money(cell, dtype, way.scale)
    return _real(cell, way.scale)


def _exact(cell: ir.Value) -> ir.DecimalValue:
    """A number in decimal digits, exactly as written; a float's are the fewest that tell it from its neighbours."""
    return (cell.cast("string") if cell.type().is_floating() else cell).try_cast(NUMBER)


def _times(number: ir.DecimalValue, factor: Decimal) -> ir.DecimalValue:
    """Decimal digits times a constant, without a float on the way."""
    exponent = factor.as_tuple().exponent
    scale = max(0, -exponent) if isinstance(exponent, int) else WIDEST_SCALE
    width = max(len(f"{abs(factor):f}".replace(".", "").lstrip("0")), scale) or 1
    if width > WIDEST_SCALE:
        msg = f"scale {factor} has {width} digits; give one with at most {WIDEST_SCALE}"
        raise MappingError(msg)
    return number * ibis.literal(factor, dt.Decimal(width, scale))


def _whole(cell: ir.Value, dtype: dt.DataType, scale: Decimal | None) -> Converted:
    number = cell if scale is None else _times(_exact(cell), scale)
    kind = number.type()
    if kind == dtype:
        return Converted(number)
    if kind.is_signed_integer() and kind.nbytes <= dtype.nbytes:
        return Converted(number.cast(dtype))
    value = number.try_cast(dtype)
    bad = value.isnull()
    if not kind.is_integer():
        bad = bad | (value.cast("float64") != number.try_cast("float64"))
    return Converted(value, cell.notnull() & bad, "is not a whole number" if kind.is_numeric() else "is not a number")


def _money(cell: ir.Value, dtype: dt.DataType, scale: Decimal | None) -> Converted:
    if scale is None and cell.type() == dtype:
        return Converted(cell)
    number = _exact(cell)
    value = (number if scale is None else _times(number, scale)).try_cast(dtype)
    return Converted(value, cell.notnull() & value.isnull(), "is not a number")


def _real(cell: ir.Value, scale: Decimal | None) -> Converted:
    value = cell if cell.type() == dt.float64 else cell.try_cast("float64")
    bad = ~value.between(-_LARGEST, _LARGEST)
    if cell.type().is_string():
        bad = value.isnull() | bad
    if scale is not None:
        value = value * float(scale)
    return Converted(value, cell.notnull() & bad, "is not a number")


def _instant(cell: ir.Value, way: Way, base: datetime | None, where: str) -> Converted:
    kind = cell.type()
    if kind.is_timestamp() or kind.is_date():
        zoned = kind.is_timestamp() and kind.timezone is not None
        value = cell if zoned else timezone(way.zone, cell.cast("timestamp"))
        value = value if value.type() == INSTANT else value.cast(INSTANT)
        return Converted(value, _outside(value), f"is {_RANGE}")
    if way.time == "iso" or "%" in way.time:
        if not kind.is_string():
            msg = f"{where}: the file has {kind} there, the event needs a time; give time = 'epoch_s' or what it counts"
            raise ColumnError(msg)
        value = _written(cell, way)
        return Converted(value, cell.notnull() & (value.isnull() | _outside(value)), f"is not a time, or {_RANGE}")
    if not (kind.is_string() or kind.is_numeric()) or kind.is_boolean():
        msg = f"{where}: the file has {kind} there, the event needs a number that counts time"
        raise ColumnError(msg)
    unit = way.time.partition("_")[2]
    microseconds = _times(_exact(cell), _MICROSECONDS[unit]).floor().try_cast("int64")
    if base is not None and way.time.startswith("offset"):
        microseconds = microseconds + int(base.timestamp()) * 1_000_000 + base.microsecond
    known = (microseconds >= 0) & (microseconds < _END_MICROSECOND)
    value = ibis.ifelse(known, make_timestamptz(microseconds), ibis.null(INSTANT))
    return Converted(value, cell.notnull() & ~known.fill_null(False), f"is not a time, or {_RANGE}")  # noqa: FBT003


def _outside(instant: ir.TimestampValue) -> ir.BooleanValue:
    """Whether an instant cannot be meant; comparisons, because the statistics of a Parquet file answer them."""
    return (instant < ibis.literal(FIRST, INSTANT)) | (instant >= ibis.literal(END, INSTANT))


def _written(text: ir.StringValue, way: Way) -> ir.TimestampValue:
    """A text as an instant; without an offset of its own it is local to the way's zone."""
    if "%z" in way.time:
        return offset_strptime(text, way.time)
    if "%" in way.time:
        return timezone(way.zone, try_strptime(text, way.time))
    if way.zone == "UTC":
        return text.try_cast(INSTANT)
    local = timezone(way.zone, text.try_cast("timestamp"))
    return ibis.ifelse(text.re_search(_OFFSET), text.try_cast(INSTANT), local)
