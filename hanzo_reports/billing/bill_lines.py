"""The lines of provider bills that a store keeps, each with the UTC days that it charges for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import sqlalchemy

from hanzo_reports.state.quality_tables import BILLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import ColumnElement, RowMapping

    from hanzo_reports.store.base import Store
    from hanzo_reports.window import Window

KINDS = ("focus", "openai_costs", "openai_usage")  # of bills, the most authoritative about cost first
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class BillLine:
    """One line of a bill.

    Args:
        kind: ``focus``, ``openai_costs`` or ``openai_usage``, also with a suffix.
        first: the first UTC day that it charges for.
        last: the last one, included.
        provider: as the bill names it, in lower case.
        model: as `model_name` gives it; empty: not stated.
        currency: ISO 4217.
        requests: requests; None: not stated.
        tokens: input and output tokens; None: not stated.
        cost: in `currency`; None: not stated, and no price is known.
    """

    kind: str
    first: date
    last: date
    provider: str
    model: str
    currency: str
    requests: int | None
    tokens: int | None
    cost: Decimal | None

    @property
    def days(self) -> list[date]:
        """The UTC days that it charges for."""
        return [self.first + DAY * number for number in range((self.last - self.first).days + 1)]

    @property
    def label(self) -> str:
        """Its days as a row shows them: ``2025-06-01``, or ``2025-06-01..2025-06-30``."""
        return self.first.isoformat() if self.first == self.last else f"{self.first}..{self.last}"


def has_bills(store: Store) -> bool:
    """Whether the store keeps any bill."""
    with store.state.connect() as connection:
        return connection.execute(sqlalchemy.select(BILLS.c.kind).limit(1)).first() is not None


def billed_days(store: Store) -> tuple[datetime, datetime] | None:
    """The range of whole UTC days that holds every line of every bill; None: no bill is loaded.

    Returns:
        The first instant of the first day, and the instant just after the last day.
    """
    start, end = digits(BILLS.c.period_start), digits(BILLS.c.period_end)
    earliest, latest, last_end = (sqlalchemy.func.min(start), sqlalchemy.func.max(start), sqlalchemy.func.max(end))
    with store.state.connect() as connection:
        row = connection.execute(sqlalchemy.select(earliest, latest, last_end)).one()
    if row[0] is None:
        return None
    first, last, stop = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in row)
    return day_start(first), day_end(max(stop, last + MOMENT))  # a line without length is of the day it begins in


def select_lines(store: Store, window: Window) -> tuple[list[BillLine], list[BillLine]]:
    """The lines of bills about a window.

    Args:
        store: whose state keeps the bills.
        window: any window; it is compared by its whole UTC days.

    Returns:
        The lines whose days all lie in the window's whole UTC days; and those that it touches but does not hold: a
        charge for several days of which it lacks some, or a charge for a day of which it has only a part.
    """
    first, end = day_end(window.start).date(), day_start(window.end).date()  # `end` is not included
    touched, touched_end = day_start(window.start).date(), day_end(window.end).date()
    columns = BILLS.c
    nearby = sqlalchemy.select(BILLS).where(
        columns.period_start < touched_end.isoformat(),
        sqlalchemy.or_(columns.period_end >= touched.isoformat(), columns.period_start >= touched.isoformat()),
    )
    with store.state.connect() as connection:
        lines = [_line(row) for row in connection.execute(nearby).mappings()]
    inside = [line for line in lines if first <= line.first and line.last < end]
    cut = [
        line
        for line in lines
        if line.last >= touched and line.first < touched_end and not (first <= line.first and line.last < end)
    ]
    return inside, cut


def with_one_cost_a_day(lines: Iterable[BillLine]) -> Iterator[BillLine]:
    """The lines, where bills of several kinds are about one day, with the cost of the most authoritative kind only.

    Yields:
        Each line that states anything; those of less authoritative kinds with the cost None.
    """
    lines = list(lines)
    best: dict[tuple[str, date], int] = {}
    for line in lines:
        for day in line.days if line.cost is not None else ():
            place = (line.provider, day)
            best[place] = min(best.get(place, len(KINDS)), _rank(line.kind))
    for line in lines:
        has_cost = line.cost is not None and best[line.provider, line.first] == _rank(line.kind)
        if has_cost or line.requests is not None or line.tokens is not None:
            yield line if has_cost else replace(line, cost=None)


def model_name(model: str | None) -> str:
    """The name by which both sides compare a model: in lower case, without what stands before the last slash.

    >>> model_name("openai/GPT-4o")
    'gpt-4o'
    """
    return (model or "").rpartition("/")[2].strip().lower()


def day_start(instant: datetime) -> datetime:
    """The first instant of an instant's UTC day."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def day_end(instant: datetime) -> datetime:
    """The first midnight in UTC that is not before an instant."""
    start = day_start(instant)
    return start if start == instant else start + DAY


def digits(column: ColumnElement[str]) -> ColumnElement[str]:
    """An ISO 8601 column without its Z, as text that sorts by time also where only some instants have fractions."""
    return sqlalchemy.func.rtrim(column, "Z")


def _line(row: RowMapping) -> BillLine:
    first, last = _charged_days(*(datetime.fromisoformat(row[side]) for side in ("period_start", "period_end")))
    tokens = [row[name] for name in ("input_tokens", "output_tokens") if row[name] is not None]
    return BillLine(
        row["kind"], first, last, row["provider"], model_name(row["model"]), row["currency"], row["requests"],
        sum(tokens) if tokens else None, None if row["cost"] is None else Decimal(row["cost"]),
    )  # fmt: skip


def _charged_days(start: datetime, end: datetime) -> tuple[date, date]:
    """The first and the last UTC day of a charge; one of at most 24 hours belongs to the day that it begins in."""
    first = start.astimezone(UTC).date()
    return first, first if end - start <= DAY else (end - MOMENT).astimezone(UTC).date()


def _rank(kind: str) -> int:
    """How authoritative a kind of bill is about cost; 0 is best, and usage at list price the last resort."""
    return next((place for place, name in enumerate(KINDS) if kind.startswith(name)), len(KINDS))


def cost_by_currency(lines: Iterable[BillLine]) -> dict[str, Decimal]:
    """The billed cost of lines, in each currency; a line without a cost counts as 0."""
    costs: dict[str, Decimal] = {}
    for line in lines:
        costs[line.currency] = costs.get(line.currency, Decimal(0)) + (line.cost or 0)
    return costs
