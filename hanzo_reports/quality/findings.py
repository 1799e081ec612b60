"""What was seen, for the person who reads a verdict: in words, by group, in dollars, by example."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ibis

from hanzo_reports.errors import nearest
from hanzo_reports.events import MONEY
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from hanzo_reports.quality.measure import Counted
    from hanzo_reports.quality.rows import RowTest
    from hanzo_reports.quality.suites import Expectation

EXAMPLES = 5
GROUPS = 100
_NAMES = ("event_id", "day", "timestamp", "model")  # what an example is known by, where the table has it


def seen_rows(counted: Counted) -> str:
    """A row expectation's count in words."""
    looked_at = counted.looked_at - counted.nulls
    if not counted.unexpected:
        return f"none of {looked_at:,} rows"
    share = f" ({counted.unexpected / looked_at:.2%})" if looked_at else ""
    return f"{counted.unexpected:,} of {looked_at:,} rows{share}"


def seen_table(one: Expectation, result: Mapping[str, Any] | None, table: ir.Table) -> str:
    """What Great Expectations observed, and for columns, which are missing and what they may be called."""
    found = dict(result or {})
    wanted = one.kwargs.get("column_set") or one.kwargs.get("column_list") or ()
    if wanted and "columns" in one.type:
        missing = [name for name in wanted if name not in table.columns]
        extra = [name for name in table.columns if name not in wanted]
        near = {name: nearest(name, extra) for name in missing}
        told = [f"no column {name!r}" + (f" (the nearest is {near[name]!r})" if near[name] else "") for name in missing]
        if told:
            return ", ".join(told)
        return f"{len(table.columns)} columns"
    if "unexpected_count" in found:
        return f"{found['unexpected_count']:,} of {found.get('element_count', 0):,} rows"
    return f"observed {_said(found['observed_value'])}" if "observed_value" in found else ""


def breakdown(table: ir.Table, test: RowTest, one: Expectation) -> tuple[Decimal | None, tuple[dict[str, Any], ...]]:
    """The unexpected rows in US dollars and by group, where the suite asks for it."""
    money, by = one.meta.get("at_stake"), one.meta.get("by")
    money = money if money in table.columns else None
    by = by if by in table.columns else None
    if test.keys or not (money or by):
        return None, ()
    bad = table.filter(test.bad(table))
    sums = {"rows": bad.count()} | ({"at_stake": _dollars(bad[money]).sum()} if money else {})
    found = bad.aggregate(**sums, by=[by] if by else []).order_by(ibis.desc("rows"), *([by] if by else []))
    rows = found.to_pyarrow().to_pylist()
    known = [row["at_stake"] for row in rows if row.get("at_stake") is not None]
    groups = [{"value": row.pop(by), **row} for row in rows[:GROUPS]] if by else []
    return sum(known, Decimal(0)) if money else None, tuple(_plain(group) for group in groups)


def _dollars(value: Any) -> Any:  # noqa: ANN401
    """An amount without its sign, as a decimal; NaN is none."""
    known = ibis.ifelse(value.isnan(), ibis.null(value.type()), value) if value.type().is_floating() else value
    return known.cast(MONEY).abs()


def examples(table: ir.Table, test: RowTest, one: Expectation) -> tuple[dict[str, Any], ...]:
    """A few unexpected rows: what they are known by, and the columns that the expectation looks at."""
    wanted = dict.fromkeys((*_NAMES, *one.columns, one.meta.get("by"), one.meta.get("at_stake")))
    names = [name for name in wanted if name in table.columns]
    if test.keys:
        groups = test.keyed(table).group_by(list(test.keys)).aggregate(copies=ibis._.count())
        found = groups.filter(groups["copies"] > 1)
    else:
        found = table.filter(test.bad(table)).select(*(names or table.columns[:EXAMPLES]))
    return tuple(_plain(row) for row in found.limit(EXAMPLES).to_pyarrow().to_pylist())


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it."""
    return {name: _said(value) if isinstance(value, datetime | Decimal) else value for name, value in row.items()}


def _said(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat(" ")
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:f}" if isinstance(value, Decimal) else f"{value:,}" if type(value) is int else str(value)
