"""Queries of a suite: SQL that selects the unexpected rows of ``{batch}``, as in Great Expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Mapping

METRIC = "unexpected_rows_query"  # how the names of its metrics begin
BATCH = "{batch}"
NAME = "batch"
DIALECT = "duckdb"  # of the SQL in suites; Ibis translates it for other engines
_TABLE_CLAUSES = (
    "group", "having", "distinct", "joins", "limit", "offset", "order", "qualify", "windows", "with_", "with",
)  # fmt: skip


def extract_condition(query: str) -> str | None:
    """The condition of a query that looks at single rows; None: it groups, joins, orders or has subqueries.

    >>> extract_condition("select * from {batch} b where b.cost < 0 and status = 200")
    'cost < 0 AND status = 200'
    """
    parsed = sqlglot.parse_one(query.replace(BATCH, NAME), dialect=DIALECT)
    if not isinstance(parsed, exp.Select) or any(parsed.args.get(part) for part in _TABLE_CLAUSES):
        return None
    where = parsed.args.get("where")
    tables = list(parsed.find_all(exp.Table))
    if len(tables) != 1 or tables[0].name != NAME or parsed.find(exp.AggFunc, exp.Window):
        return None
    bare = where.this.copy() if where else exp.true()
    for column in bare.find_all(exp.Column):
        column.set("table", None)
    return bare.sql(dialect=DIALECT)


def add_flags(table: ibis.Table, conditions: Mapping[str, str]) -> ibis.Table:
    """The table with a boolean column for each condition, by its name; NULL becomes false."""
    added = ", ".join(f'COALESCE(({text}), FALSE) AS "{name}"' for name, text in conditions.items())
    return run_query(table, f"SELECT *, {added} FROM {BATCH}")  # noqa: S608  # a suite's own SQL


def run_query(table: ibis.Table, query: str) -> ibis.Table:
    """The rows that a query selects from a table."""
    name = ibis.util.gen_name(NAME)  # the table may itself be the result of such a query
    return table.alias(name).sql(query.replace(BATCH, f'"{name}"'), dialect=DIALECT)


def query_columns(query: str) -> list[str]:
    """The columns that a query names, in order."""
    parsed = sqlglot.parse_one(query.replace(BATCH, NAME), dialect=DIALECT)
    return list(dict.fromkeys(column.name for column in parsed.find_all(exp.Column)))
