"""Table metrics of Great Expectations, computed by Ibis: those that fit into the one scan, and those with a query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import ibis

from hanzo_reports.quality.rows import column, like

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

    from hanzo_reports.quality.rows import Predicate

SHOWN = 20


@dataclass(frozen=True)
class Domain:
    """The rows and the column that a metric is about.

    Args:
        table: all rows.
        condition: the row condition; None: all rows count.
        column: the column's name; empty: none.
        given: the metric's own arguments.
    """

    table: ir.Table
    condition: Predicate | None
    column: str
    given: Mapping[str, Any]

    @property
    def where(self) -> Any:  # noqa: ANN401  # a predicate, or None
        """The row condition as a filter of an aggregate."""
        return None if self.condition is None else self.condition(self.table)

    @property
    def value(self) -> Any:  # noqa: ANN401  # Ibis' columns are as dynamic as their types
        """The column."""
        return column(self.table, self.column)

    @property
    def inside(self) -> ir.Table:
        """The rows that count."""
        return self.table if self.condition is None else self.table.filter(self.where)


def _proportion(part: str) -> Callable[[Domain], Any]:
    def made(d: Domain) -> Any:  # noqa: ANN401
        known = d.value.count(where=d.where)
        if part == "unique":
            return d.value.nunique(where=d.where) / known.nullif(0)
        return known / d.table.count(where=d.where).nullif(0)

    return made


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
    "column.non_null_proportion": _proportion("known"),
}


def _types(table: ir.Table) -> list[dict[str, Any]]:
    return [{"name": name, "type": dtype.to_pandas()} for name, dtype in table.schema().items()]


SCHEMA: dict[str, Callable[[ir.Table], Any]] = {
    "table.columns": lambda t: list(t.columns),
    "table.column_count": lambda t: len(t.columns),
    "table.column_types": _types,
}


def _strangers(d: Domain) -> ir.Table:
    """Distinct values that are not in the set."""
    known = [like(d.value, item) for item in d.given["value_set"]]
    return d.inside.filter(d.value.notnull() & d.value.notin(known)).select(d.column).distinct()


def _absent(d: Domain) -> list[Any]:
    """Values of the set that no row has."""
    wanted = list(d.given["value_set"])
    found = d.inside.filter(d.value.isin([like(d.value, item) for item in wanted])).select(d.column).distinct()
    held = {_plain(row[d.column]) for row in found.to_pyarrow().to_pylist()}
    return [item for item in wanted if _plain(item) not in held]


def _most_common(d: Domain) -> list[Any]:
    """The most frequent values; several where they are equally frequent."""
    counted = d.inside.filter(d.value.notnull()).group_by(d.column).aggregate(n=ibis._.count())
    rows = counted.filter(counted.n == counted.n.max()).limit(SHOWN).to_pyarrow().to_pylist()
    return [row[d.column] for row in rows]


def _quantiles(d: Domain) -> list[Any]:
    wanted = {f"q{number}": d.value.quantile(share, where=d.where) for number, share in enumerate(d.given["quantiles"])}
    return list(d.table.aggregate(**wanted).to_pyarrow().to_pylist()[0].values())


QUERIES: dict[str, Callable[[Domain], Any]] = {
    "column.distinct_values.not_in_set.count": lambda d: int(_strangers(d).count().to_pyarrow().as_py()),
    "column.distinct_values.not_in_set":
        lambda d: [row[d.column] for row in _strangers(d).limit(SHOWN).to_pyarrow().to_pylist()],
    "column.distinct_values.missing_from_column.count": lambda d: len(_absent(d)),
    "column.distinct_values.missing_from_column": _absent,
    "column.most_common_value": _most_common,
    "column.quantile_values": _quantiles,
}  # fmt: skip


def compared(value: object) -> object:
    """A metric's value as Great Expectations compares it: an instant without offset is UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _plain(value: object) -> object:
    return str(value) if isinstance(value, datetime) else value
