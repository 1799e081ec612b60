"""What a check observed, for the reader of a verdict: in words, by group, in dollars, and as examples."""

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

    from hanzo_reports.quality.measure import RowCounts
    from hanzo_reports.quality.row_tests import RowTest
    from hanzo_reports.quality.suites import Expectation

MAX_EXAMPLES = 5
MAX_GROUPS = 100
_NAMES = ("event_id", "day", "timestamp", "model")  # the columns that identify an example, where the table has them


def describe_rows(counts: RowCounts) -> str:
    """The counts of a row expectation in words, with who accepted rows and why."""
    tested = counts.tested - counts.nulls
    share = f" ({counts.unexpected / tested:.2%})" if counts.unexpected and tested else ""
    text = f"{f'{counts.unexpected:,}' if counts.unexpected else 'none'} of {tested:,} rows{share}"
    accepted = [f"{rows:,} accepted by {one.by} on {iso(one.at)[:10]}: {one.because}" for one, rows in counts.accepted]
    return ", ".join([text, *accepted])


def describe_table(one: Expectation, result: Mapping[str, Any] | None, table: ir.Table) -> str:
    """What Great Expectations observed; of an expectation about columns, the missing ones and the nearest present."""
    observed = dict(result or {})
    wanted = one.kwargs.get("column_set") or one.kwargs.get("column_list") or ()
    if wanted and "columns" in one.type:
        missing = [name for name in wanted if name not in table.columns]
        extra = [name for name in table.columns if name not in wanted]
        return ", ".join(_missing_column(name, extra) for name in missing) or f"{len(table.columns)} columns"
    if "unexpected_count" in observed:
        return f"{observed['unexpected_count']:,} of {observed.get('element_count', 0):,} rows"
    return f"observed {_text(observed['observed_value'])}" if "observed_value" in observed else ""


def _missing_column(name: str, extra: list[str]) -> str:
    near = nearest(name, extra)
    return f"no column {name!r}" + (f" (the nearest is {near!r})" if near else "")


def break_down(table: ir.Table, test: RowTest, one: Expectation) -> tuple[Decimal | None, tuple[dict[str, Any], ...]]:
    """The unexpected rows in US dollars and by group, where the suite asks for it.

    Returns:
        The dollars at stake, None if the suite does not ask for them; and for each group `value`, `rows` and, with
        dollars, `at_stake`, the most rows first.
    """
    money, by = one.meta.get("at_stake"), one.meta.get("by")
    money = money if money in table.columns else None
    by = by if by in table.columns else None
    if test.keys or not (money or by):
        return None, ()
    bad = table.filter(test.bad(table))
    sums = {"rows": bad.count()} | ({"at_stake": _dollars(bad[money]).sum()} if money else {})
    grouped = bad.aggregate(**sums, by=[by] if by else []).order_by(ibis.desc("rows"), *([by] if by else []))
    rows = grouped.to_pyarrow().to_pylist()
    amounts = [row["at_stake"] for row in rows if row.get("at_stake") is not None]
    groups = [{"value": row.pop(by), **row} for row in rows[:MAX_GROUPS]] if by else []
    return sum(amounts, Decimal(0)) if money else None, tuple(_as_json(group) for group in groups)


def _dollars(value: Any) -> Any:  # noqa: ANN401
    """An amount without its sign, as a decimal; NaN becomes NULL."""
    amount = ibis.ifelse(value.isnan(), ibis.null(value.type()), value) if value.type().is_floating() else value
    return amount.cast(MONEY).abs()


def find_examples(table: ir.Table, test: RowTest, one: Expectation) -> tuple[dict[str, Any], ...]:
    """A few unexpected rows: the columns that identify them, and those that the expectation looks at."""
    wanted = dict.fromkeys((*_NAMES, *one.columns, one.meta.get("by"), one.meta.get("at_stake")))
    names = [name for name in wanted if name in table.columns]
    if test.keys:
        groups = test.keyed(table).group_by(list(test.keys)).aggregate(copies=ibis._.count())
        rows = groups.filter(groups["copies"] > 1)
    else:
        rows = table.filter(test.bad(table)).select(*(names or table.columns[:MAX_EXAMPLES]))
    return tuple(_as_json(row) for row in rows.limit(MAX_EXAMPLES).to_pyarrow().to_pylist())


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, datetime | Decimal) else value for name, value in row.items()}


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat(" ")
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:f}" if isinstance(value, Decimal) else f"{value:,}" if type(value) is int else str(value)
