"""Where engines differ: the few expressions that one form does not get right, or fast, on all of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

if TYPE_CHECKING:
    import ibis.expr.types as ir

AMOUNT = "decimal(28, 9)"  # sums of money: Spark subtracts wider ones at the cost of decimal places
_NANO = Decimal(1).scaleb(-9)


def engine(value: ir.Expr) -> str:
    """The name, as Ibis has it, of the engine that will compute an expression."""
    return str(value.get_backend().name)


def quotient(above: ir.NumericValue, below: ir.NumericValue) -> ir.DecimalValue:
    """Money over a whole number, exact: rounded half up to nine places; NULL over nothing.

    Engines divide decimals each in their own way (DuckDB as floats, ClickHouse cuts off), but all multiply and subtract
    them exactly. So a float's quotient is the first guess, and what it leaves over says how many billionths it is off.
    The widths keep Spark from giving up decimal places: a quotient below 10^11, a divisor below 10^16.

    Args:
        above: a decimal with nine places.
        below: a whole number.
    """
    some = below.fill_null(0) != 0
    number, divisor = above.cast("decimal(37, 9)"), some.ifelse(below, 1).cast("decimal(16, 0)")
    guess = (number.cast("float64") / divisor.cast("float64")).cast("decimal(20, 9)")
    rest = ((number - guess * divisor).cast("float64") * 1e9).round()
    off = (rest / divisor.cast("float64") + 0.5).floor().cast("decimal(18, 9)")
    exact = (guess + off * ibis.literal(_NANO, "decimal(10, 9)")).cast(AMOUNT)
    return some.ifelse(exact, ibis.null())


def money(amount: ir.FloatingValue) -> ir.DecimalValue:
    """A float as money, rounded half up to nine places; NULL stays.

    Engines round a half in their own ways, and ClickHouse cuts a float off; whole numbers are the same on all.
    """
    nano = (amount.fill_null(0.0) * 1e9 + 0.5).floor().cast("int64").cast("decimal(18, 0)")
    return amount.isnull().ifelse(ibis.null(), (nano * _NANO_MONEY).cast(MONEY))


def percentile(column: ir.NumericColumn, share: float) -> ir.FloatingScalar:
    """SQL's percentile_cont: exact, linearly interpolated, over the rows that have the column.

    On ClickHouse by name: Ibis would take its `quantile`, which looks at a sample.
    """
    if engine(column) == "clickhouse":
        return _array_reduce(f"quantileExactInclusiveOrNull({share})", column.collect())
    return column.quantile(share)


def epoch_seconds(instant: ir.TimestampValue) -> ir.IntegerValue:
    """Whole seconds since 1970 in UTC, rounded down.

    On DuckDB by `epoch_us`: Ibis' own way casts through the connection's time zone, and takes ten times as long. On
    ClickHouse by its own function too: Ibis' has 32 bits.
    """
    match engine(instant):
        case "duckdb":
            return _epoch_us(instant) // 1_000_000
        case "clickhouse":
            return _to_unix_seconds(instant)
        case _:
            return instant.truncate("s").epoch_seconds()


def sort_key(name: ir.Value) -> ir.Value:
    """What names are ordered by: their bytes, on Postgres too, whatever the database's collation."""
    if name.type().is_string() and engine(name) == "postgres":
        return _convert_to(name, "UTF8")
    return name


@ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))  # type: ignore[untyped-decorator]
def _epoch_us(instant: object) -> object:
    """DuckDB: microseconds since 1970 in UTC, whatever zone the connection is set to."""


@ibis.udf.scalar.builtin(name="toUnixTimestamp64Second", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))  # type: ignore[untyped-decorator]
def _to_unix_seconds(instant: object) -> object:
    """ClickHouse: seconds since 1970, as a signed number."""


@ibis.udf.scalar.builtin(name="convert_to", signature=((dt.string, dt.string), dt.binary))  # type: ignore[untyped-decorator]
def _convert_to(text: object, encoding: object) -> object:
    """Postgres: a text's bytes."""


@ibis.udf.scalar.builtin(name="arrayReduce", signature=((dt.string, dt.Array(dt.float64)), dt.float64))  # type: ignore[untyped-decorator]
def _array_reduce(aggregate: object, values: object) -> object:
    """ClickHouse: an aggregate, named with its parameters, over the values of an array."""
