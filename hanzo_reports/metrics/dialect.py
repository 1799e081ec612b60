"""Where engines differ: the expressions that need a form of their own on some engine to be exact, or fast."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from hanzo_reports.events import MONEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir

AMOUNT = "decimal(28, 9)"  # sums of money: Spark subtracts wider ones at the cost of decimal places
_NANO = Decimal(1).scaleb(-9)
_EXACT_LIMIT = 1e11  # dollars; larger quotients are rounded to whole dollars
_SHARES = (0.5, 0.9, 0.95, 0.99)  # of the catalogue's percentiles
_ROW, _FIELD, _NULL = "\x1e", "\x1f", "\x1a"  # ASCII's own separators; no name contains them


def engine(value: ir.Expr) -> str:
    """The name, as Ibis has it, of the engine that will compute an expression."""
    return str(value.get_backend().name)


def quotient(above: ir.NumericValue, below: ir.NumericValue) -> ir.DecimalValue:
    """Money over a whole number, exact: rounded half up to nine places; NULL for a zero or NULL divisor.

    Engines divide decimals each in their own way (DuckDB as floats, ClickHouse truncates), but all multiply and
    subtract them exactly. So the float quotient is the first guess, and the remainder says how many billionths it is
    off. The widths keep Spark from dropping decimal places: a quotient below 10^11, a divisor below 10^16. A quotient
    of 10^11 or more, which only a cost in the wrong unit has, is rounded to whole dollars, so that one such event does
    not overflow the whole answer.

    Args:
        above: a decimal with nine places.
        below: a whole number.
    """
    some = below.fill_null(0) != 0
    divisor = some.ifelse(below, 1).cast("decimal(16, 0)")
    about = above.cast("float64") / divisor.cast("float64")
    vast = about.abs() >= _EXACT_LIMIT
    number = vast.ifelse(0, above.cast("decimal(37, 9)"))
    guess = vast.ifelse(0.0, about).cast("decimal(20, 9)")
    rest = ((number - guess * divisor).cast("float64") * 1e9).round()
    off = (rest / divisor.cast("float64") + 0.5).floor().cast("decimal(18, 9)")
    exact = (guess + off * ibis.literal(_NANO, "decimal(10, 9)")).cast(AMOUNT)
    return some.ifelse(vast.ifelse((about + 0.5).floor().cast("int64").cast(AMOUNT), exact), ibis.null())


def money(amount: ir.FloatingValue) -> ir.DecimalValue:
    """A float as money, rounded half up to nine places; NULL stays NULL.

    Engines round halves in their own ways, and ClickHouse truncates; whole numbers are the same on all.
    """
    billionths = (amount.fill_null(0.0) * 1e9 + 0.5).floor().cast("int64").cast("decimal(27, 9)")
    return amount.isnull().ifelse(ibis.null(), (billionths * ibis.literal(_NANO, "decimal(10, 9)")).cast(MONEY))


def percentile(column: ir.NumericColumn, share: float) -> ir.FloatingScalar:
    """SQL's percentile_cont: exact, linearly interpolated, over the rows that have the column.

    On ClickHouse it is called by name, because Ibis would call `quantile`, which samples; and for several shares at
    once, so that the percentiles of one column are the same expression, which ClickHouse computes once.
    """
    if engine(column) == "clickhouse":
        shares = sorted({*_SHARES, share})
        values = _array_reduce(f"quantilesExactInclusiveOrNull({', '.join(map(str, shares))})", column.collect())
        return _element_or_null(values, shares.index(share) + 1)
    return column.quantile(share)


def small_table(rows: Sequence[Sequence[object]], types: Mapping[str, str], events: ir.Table) -> ir.Table:
    """A few rows to be joined to events, sent inside the query as one string that every engine can split.

    An in-memory table would become a temporary table on Postgres, run Python on Spark's workers, travel beside each
    query on ClickHouse (whose in-process engine cannot take it), and load pandas on DuckDB.

    Args:
        rows: whole numbers, floats, texts and None.
        types: the columns and their Ibis types.
        events: the table that they are to be joined to.
    """
    name = engine(events)
    lines = (_FIELD.join(_encode_cell(cell, name) for cell in row) for row in rows)
    text = ibis.literal(_ROW.join(lines)).split(_ROW).unnest().name("_text").as_table()
    if not rows:
        text = text.filter(text["_text"] != "")
    cells = text["_text"].split(_FIELD)
    lacking = [any(row[number] is None for row in rows) for number in range(len(types))]
    columns = {
        column: _decode_cell(cells[number].nullif(_NULL) if lacking[number] else cells[number], ibis.dtype(dtype), name)
        for number, (column, dtype) in enumerate(types.items())
    }
    return text.select(**columns)


def _encode_cell(cell: object, engine_name: str) -> str:
    """A cell as text; for ClickHouse, which parses floats fast but not exactly, a float's bits."""
    if isinstance(cell, float) and engine_name == "clickhouse":
        return str(struct.unpack("<q", struct.pack("<d", cell))[0])
    return _NULL if cell is None else str(cell)


def _decode_cell(cell: ir.StringValue, dtype: dt.DataType, engine_name: str) -> ir.Value:
    """A cell in its own type, from its text."""
    if dtype.is_floating() and engine_name == "clickhouse":
        return _float_of_bits(cell.cast("int64"))
    return cell.cast(dtype)


def earliest(instants: ir.TimestampColumn) -> ir.TimestampScalar:
    """The first of some instants; NULL without any, also on ClickHouse, which would return 1970."""
    return _null_if_empty(instants, instants.min())


def latest(instants: ir.TimestampColumn) -> ir.TimestampScalar:
    """The last of some instants; as `earliest`."""
    return _null_if_empty(instants, instants.max())


def _null_if_empty(instants: ir.TimestampColumn, extreme: ir.TimestampScalar) -> ir.TimestampScalar:
    if engine(instants) == "clickhouse":
        return (instants.count() == 0).ifelse(ibis.null(), extreme)
    return extreme


def instant(at: datetime, beside: ir.Expr) -> ir.TimestampScalar:
    """An instant to compare with those of a table; on ClickHouse, Ibis' own literals end in 2106.

    Args:
        at: with an offset.
        beside: the table, or one of its columns.
    """
    if engine(beside) == "clickhouse":
        return _to_date_time(f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}", 6, "UTC")
    return ibis.literal(at, type="timestamp('UTC')")


def date_of(day: ir.IntegerValue) -> ir.DateValue | ir.TimestampValue:
    """The date that many days after 1970-01-01; on ClickHouse an instant, because its dates end in 2149."""
    first = ibis.literal("1970-01-01").cast("date")
    if engine(day) == "clickhouse":
        first = instant(datetime(1970, 1, 1, tzinfo=UTC), day)
    return first + day.as_interval("D")


def epoch_seconds(instant: ir.TimestampValue) -> ir.IntegerValue:
    """Whole seconds since 1970 in UTC, rounded down.

    On DuckDB with `epoch_us`: Ibis casts through the connection's time zone, which takes ten times as long. On
    ClickHouse with its own function: the one that Ibis calls has 32 bits.
    """
    match engine(instant):
        case "duckdb":
            return whole(_epoch_us(instant), 1_000_000)
        case "clickhouse":
            return _to_unix_seconds(instant)
        case _:
            return instant.truncate("s").epoch_seconds()


def joins_with_zeros(events: ir.Expr) -> bool:
    """Whether a left join gives zeros instead of NULL where nothing matches, as ClickHouse does by default."""
    return engine(events) == "clickhouse"


def whole(number: ir.IntegerValue, by: int) -> ir.IntegerValue:
    """A non-negative whole number, integer-divided; on most engines, Ibis itself would divide as floats."""
    match engine(number):
        case "duckdb":
            return _divide(number, by)
        case "clickhouse":
            return _int_div(number, by)
        case _:
            return number // by


def fingerprint(text: ir.StringValue) -> ir.IntegerValue:
    """A number of 24 bits that is the same for the same text on every engine: the first bits of its MD5."""
    match engine(text):
        case "postgres":
            digits = _md5(text)
        case "clickhouse":
            digits = _hex(_md5_bytes(text)).lower()
        case _:
            digits = text.hexdigest("md5")
    places = (ibis.literal("0123456789abcdef").find(digits.substr(place, 1)) * 16**place for place in range(6))
    return sum(places, ibis.literal(0, "int64"))


def sort_key(name: ir.Value) -> ir.Value:
    """What names are ordered by: their bytes, also on Postgres, whatever the collation of the database."""
    if name.type().is_string() and engine(name) == "postgres":
        return _convert_to(name, "UTF8")
    return name


@ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))  # type: ignore[untyped-decorator]
def _epoch_us(instant: object) -> object:
    """DuckDB: microseconds since 1970 in UTC, whatever zone the connection is set to."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="toDateTime64", signature=((dt.string, dt.int8, dt.string), dt.Timestamp(timezone="UTC"))
)
def _to_date_time(text: object, digits: object, timezone: object) -> object:
    """ClickHouse: an instant of 64 bits."""


@ibis.udf.scalar.builtin(name="toUnixTimestamp64Second", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))  # type: ignore[untyped-decorator]
def _to_unix_seconds(instant: object) -> object:
    """ClickHouse: seconds since 1970, as a signed number."""


@ibis.udf.scalar.builtin(name="divide", signature=((dt.int64, dt.int64), dt.int64))  # type: ignore[untyped-decorator]
def _divide(number: object, by: object) -> object:
    """DuckDB: whole numbers divided, rounded towards 0."""


@ibis.udf.scalar.builtin(name="intDiv", signature=((dt.int64, dt.int64), dt.int64))  # type: ignore[untyped-decorator]
def _int_div(number: object, by: object) -> object:
    """ClickHouse: whole numbers divided, rounded towards 0."""


@ibis.udf.scalar.builtin(name="md5", signature=((dt.string,), dt.string))  # type: ignore[untyped-decorator]
def _md5(text: object) -> object:
    """Postgres: a text's MD5 in hexadecimal digits."""


@ibis.udf.scalar.builtin(name="MD5", signature=((dt.string,), dt.binary))  # type: ignore[untyped-decorator]
def _md5_bytes(text: object) -> object:
    """ClickHouse: a text's MD5."""


@ibis.udf.scalar.builtin(name="hex", signature=((dt.binary,), dt.string))  # type: ignore[untyped-decorator]
def _hex(octets: object) -> object:
    """ClickHouse: bytes in hexadecimal digits."""


@ibis.udf.scalar.builtin(name="convert_to", signature=((dt.string, dt.string), dt.binary))  # type: ignore[untyped-decorator]
def _convert_to(text: object, encoding: object) -> object:
    """Postgres: a text's bytes."""


@ibis.udf.scalar.builtin(name="arrayReduce", signature=((dt.string, dt.Array(dt.float64)), dt.Array(dt.float64)))  # type: ignore[untyped-decorator]
def _array_reduce(aggregate: object, values: object) -> object:
    """ClickHouse: an aggregate, named with its parameters, over the values of an array."""


@ibis.udf.scalar.builtin(name="arrayElementOrNull", signature=((dt.Array(dt.float64), dt.int64), dt.float64))  # type: ignore[untyped-decorator]
def _element_or_null(values: object, number: object) -> object:
    """ClickHouse: an element of an array, counted from 1; NULL where the array ends before it."""


@ibis.udf.scalar.builtin(name="reinterpretAsFloat64", signature=((dt.int64,), dt.float64))  # type: ignore[untyped-decorator]
def _float_of_bits(bits: object) -> object:
    """ClickHouse: the float that has these 64 bits."""
