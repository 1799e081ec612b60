"""Queries of a suite: SQL that names unexpected rows of ``{batch}``, as Great Expectations has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Mapping

METRIC = "unexpected_rows_query"  # the first part of its metrics' names
BATCH = "{batch}"
NAME = "batch"
DIALECT = "duckdb"  # what suites are written in; Ibis translates it for other engines
_WHOLE = ("group", "having", "distinct", "joins", "limit", "offset", "order", "qualify", "windows", "with_", "with")


def condition(query: str) -> str | None:
    """The condition of a query that looks at single rows; None: it groups, joins, orders or has other queries inside.

    >>> condition("select * from {batch} b where b.cost < 0 and status = 200")
    'cost < 0 AND status = 200'
    """
    parsed = sqlglot.parse_one(query.replace(BATCH, NAME), dialect=DIALECT)
    if not isinstance(parsed, exp.Select) or any(parsed.args.get(part) for part in _WHOLE):
        return None
    where = parsed.args.get("where")
    tables = list(parsed.find_all(exp.Table))
    if len(tables) != 1 or tables[0].name != NAME or parsed.find(exp.AggFunc, exp.Window):
        return None
    bare = where.this.copy() if where else exp.true()
    for column in bare.find_all(exp.Column):
        column.set("table", None)
    return bare.sql(dialect=DIALECT)


def flags(table: ibis.Table, conditions: Mapping[str, str]) -> ibis.Table:
    """The table with a boolean column for each condition; what is not known is false."""
    added = ", ".join(f'COALESCE(({text}), FALSE) AS "{name}"' for name, text in conditions.items())
    return answered(table, f"SELECT *, {added} FROM {BATCH}")  # noqa: S608  # a suite's own SQL


def answered(table: ibis.Table, query: str) -> ibis.Table:
    """The rows that a query gives."""
    name = ibis.util.gen_name(NAME)  # the table may itself be made of such a query
    return table.alias(name).sql(query.replace(BATCH, f'"{name}"'), dialect=DIALECT)


def columns(query: str) -> list[str]:
    """The columns that a query names."""
    parsed = sqlglot.parse_one(query.replace(BATCH, NAME), dialect=DIALECT)
    return list(dict.fromkeys(column.name for column in parsed.find_all(exp.Column)))
