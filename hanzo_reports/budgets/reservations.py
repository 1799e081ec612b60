"""Amounts set aside for requests that were allowed, until their events arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from hanzo_reports.state.budget_tables import RESERVATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from decimal import Decimal

    import ibis
    import sqlalchemy

    from hanzo_reports.budgets.budget import Budget


def of_month(budget: Budget, first: date) -> sqlalchemy.ColumnElement[bool]:
    """Which rows of `budget_reservation` belong to a budget's month."""
    return (RESERVATIONS.c.budget_id == budget.budget_id) & (RESERVATIONS.c.period_start == first)


def awaited(state: sqlalchemy.Engine, budget: Budget, first: date, now: datetime) -> dict[str, Decimal]:
    """USD set aside in a month by the id of the event that will settle it; what has expired is left out."""
    chosen = select(RESERVATIONS.c.event_id, RESERVATIONS.c.amount)
    chosen = chosen.where(of_month(budget, first) & (RESERVATIONS.c.expires_at > now))
    with state.connect() as connection:
        return {row.event_id: row.amount for row in connection.execute(chosen)}


def arrived(events: ibis.Table, ids: Sequence[str]) -> list[str]:
    """Those of the ids whose event is there and has a cost: one without a price settles nothing."""
    if not ids:
        return []
    found = events.filter(events.event_id.isin(ids), events.cost.notnull()).select("event_id")
    return [str(each) for each in found.to_pyarrow()["event_id"].to_pylist()]
