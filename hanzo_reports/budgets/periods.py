"""The spend of a budget's month: read from the events, and stored until a newer reading replaces it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, literal, select, update
from sqlalchemy.exc import IntegrityError

from hanzo_reports.budgets.reservations import find_settled, in_month
from hanzo_reports.errors import UsageError
from hanzo_reports.state.budget_tables import PERIODS, RESERVATIONS, Money, insert_new

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import sqlalchemy

    from hanzo_reports.budgets.budget import Budget
    from hanzo_reports.store.base import Store
    from hanzo_reports.window import Window

_MAX_LEAD = timedelta(days=1)  # the event of a reservation may start this long before its month
_REMOVED = "the budget of {!r} was removed during the decision; repeat the request"


def refresh_period(state: sqlalchemy.Engine, store: Store, budget: Budget, now: datetime) -> dict[str, Any]:
    """Read what a budget's month has cost, and delete the reservations that are settled or have expired.

    The events are read only if the store has changed since the last reading. Of two concurrent readings the one that
    is stored later does not replace a newer one.

    Returns:
        The row of `budget_period` as it is then.

    Raises:
        UsageError: the budget was removed meanwhile.
    """
    first, window = budget.period(now)
    period = (PERIODS.c.budget_id == budget.budget_id) & (PERIODS.c.period_start == first)
    reservations = in_month(budget, first)
    previous = _read_period(state, period)
    version = store.version
    spent: Decimal = Decimal(0) if previous is None else previous["spent"]
    settled: list[str] = []
    if previous is None or previous["store_version"] != version:
        spent, settled = _read_spend(state, store, budget, window, reservations)
    values = {"spent": spent, "as_of": now, "store_version": version}
    with _translate_removal(budget), state.begin() as connection:
        if previous is None:
            row = {"budget_id": budget.budget_id, "period_start": first, "reserved": Decimal(0), "turn": 0}
            insert_new(connection, PERIODS, row | values)
        turn = 0 if previous is None else previous["turn"]
        unchanged = period & (PERIODS.c.turn == turn)
        if connection.execute(update(PERIODS).where(unchanged).values(values | {"turn": turn + 1})).rowcount:
            over = reservations & (RESERVATIONS.c.event_id.in_(settled) | (RESERVATIONS.c.expires_at <= now))
            amounts = list(connection.execute(select(RESERVATIONS.c.amount).where(over)).scalars())
            connection.execute(delete(RESERVATIONS).where(over))
            released = literal(sum(amounts, Decimal(0)), Money)
            connection.execute(update(PERIODS).where(period).values(reserved=PERIODS.c.reserved - released))
    current = _read_period(state, period)
    if current is None:
        raise UsageError(_REMOVED.format(budget.project))
    return current


def _read_period(state: sqlalchemy.Engine, period: sqlalchemy.ColumnElement[bool]) -> dict[str, Any] | None:
    with state.connect() as connection:
        row = connection.execute(select(PERIODS).where(period)).mappings().one_or_none()
    return None if row is None else dict(row)


def _read_spend(
    state: sqlalchemy.Engine, store: Store, budget: Budget, window: Window, reservations: sqlalchemy.ColumnElement[bool]
) -> tuple[Decimal, list[str]]:
    """What a month's events cost, and the ids of the reservations they settle, from one version of the events."""
    from hanzo_reports.metrics.query import filter_events  # noqa: PLC0415  # most decisions read no events

    events = store.events(window.start - _MAX_LEAD, window.end)
    with state.connect() as connection:  # after the version is chosen: its events can only settle these reservations
        event_ids = list(connection.execute(select(RESERVATIONS.c.event_id).where(reservations)).scalars())
    project_events = filter_events(events, window, {"project": budget.project}, ["cost"])
    total = project_events.aggregate(spent=project_events.cost.sum()).to_pyarrow()
    return total["spent"][0].as_py() or Decimal(0), find_settled(events, event_ids)


@contextmanager
def _translate_removal(budget: Budget) -> Iterator[None]:
    """Raise UsageError for a row that refers to a removed budget."""
    try:
        yield
    except IntegrityError:
        raise UsageError(_REMOVED.format(budget.project)) from None
