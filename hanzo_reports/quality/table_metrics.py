"""Great Expectations' metrics of a table, computed by Ibis: aggregates for the one scan, and queries of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import ibis

from hanzo_reports.quality.predicates import comparable, get_column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

    from hanzo_reports.quality.predicates import Predicate

MAX_VALUES = 20  # values that a metric lists


@dataclass(frozen=True)
class Domain:
    """The rows and the column that a metric is computed on.

    Args:
        table: all rows.
        condition: the row condition; None: all rows count.
        column: the column's name; empty: none.
        arguments: the metric's own arguments.
    """

    table: ir.Table
    condition: Predicate | None
    column: str
    arguments: Mapping[str, Any]

    @property
    def where(self) -> Any:  # noqa: ANN401  # a predicate, or None
        """The row condition as a filter of an aggregate."""
        return None if self.condition is None else self.condition(self.table)

    @property
    def value(self) -> Any:  # noqa: ANN401  # Ibis' columns are as dynamic as their types
        """The column."""
        return get_column(self.table, self.column)

    @property
    def inside(self) -> ir.Table:
        """The rows under the condition."""
        return self.table if self.condition is None else self.table.filter(self.where)


def _proportion(part: str) -> Callable[[Domain], Any]:
    def proportion(d: Domain) -> Any:  # noqa: ANN401
        present = d.value.count(where=d.where)
        if part == "unique":
            return d.value.nunique(where=d.where) / present.nullif(0)
        return present / d.table.count(where=d.where).nullif(0)

    return proportion


AGGREGATES: dict[str, Callable[[Domain], Any]] = {
    "table.row_count": lambda d: d.table.count(where=d.where),
    "column.max": lambda d: d.value.max(where=d.where),
    "column.min": lambda d: d.value.min(where=d.where),
    "column.mean": lambda d: d.value.mean(where=d.where),
    "column.sum": lambda d: d.value.sum(where=d.where),
    "column.median": lambda d: d.value.cast("float64").median(where=d.where),
    "column.standard_deviation": lambda d: d.value.std(where=d.where, how="sample"),
    "column.distinct_values.count": lambda d: d.value.nunique(where=d.where),
    "column.unique_proportion": _proportion("unique"),
    "column.non_null_proportion": _proportion("present"),
}


def _types(table: ir.Table) -> list[dict[str, Any]]:
    return [{"name": name, "type": dtype.to_pandas()} for name, dtype in table.schema().items()]


SCHEMA: dict[str, Callable[[ir.Table], Any]] = {
    "table.columns": lambda t: list(t.columns),
    "table.column_count": lambda t: len(t.columns),
    "table.column_types": _types,
}


def _unexpected_values(d: Domain) -> ir.Table:
    """Distinct values that are not in the set."""
    members = [comparable(d.value, item) for item in d.arguments["value_set"]]
    return d.inside.filter(d.value.notnull() & d.value.notin(members)).select(d.column).distinct()


def _missing_values(d: Domain) -> list[Any]:
    """Values of the set that no row has."""
    members = list(d.arguments["value_set"])
    matches = d.inside.filter(d.value.isin([comparable(d.value, item) for item in members])).select(d.column).distinct()
    present = {_plain(row[d.column]) for row in matches.to_pyarrow().to_pylist()}
    return [item for item in members if _plain(item) not in present]


def _most_common(d: Domain) -> list[Any]:
    """The most frequent values; several where they are equally frequent."""
    counted = d.inside.filter(d.value.notnull()).group_by(d.column).aggregate(n=ibis._.count())
    rows = counted.filter(counted.n == counted.n.max()).limit(MAX_VALUES).to_pyarrow().to_pylist()
    return [row[d.column] for row in rows]


def _quantiles(d: Domain) -> list[Any]:
    shares = enumerate(d.arguments["quantiles"])
    quantiles = {f"q{number}": d.value.quantile(share, where=d.where) for number, share in shares}
    return list(d.table.aggregate(**quantiles).to_pyarrow().to_pylist()[0].values())


QUERIES: dict[str, Callable[[Domain], Any]] = {
    "column.distinct_values.not_in_set.count": lambda d: int(_unexpected_values(d).count().to_pyarrow().as_py()),
    "column.distinct_values.not_in_set":
        lambda d: [row[d.column] for row in _unexpected_values(d).limit(MAX_VALUES).to_pyarrow().to_pylist()],
    "column.distinct_values.missing_from_column.count": lambda d: len(_missing_values(d)),
    "column.distinct_values.missing_from_column": _missing_values,
    "column.most_common_value": _most_common,
    "column.quantile_values": _quantiles,
}  # fmt: skip


def with_zone(value: object) -> object:
    """A metric's value as Great Expectations compares it: an instant without an offset is in UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _plain(value: object) -> object:
    return str(value) if isinstance(value, datetime) else value
