"""Reservations: estimated costs of allowed requests whose events have not arrived.

A reservation is stored with the id of the event that will settle it. It counts towards its month's `reserved` until
the event arrives with a cost, or until it expires. One conditional UPDATE raises `reserved` only if the limit allows
it, so a hard limit holds under concurrent requests.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, literal, select, update

from hanzo_reports.errors import UsageError
from hanzo_reports.state.budget_tables import BUDGETS, PERIODS, RESERVATIONS, Money, insert_new

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime

    import ibis
    import sqlalchemy

    from hanzo_reports.budgets.budget import Budget

DEFAULT_HOLD = timedelta(minutes=10)
MAX_HOLD = timedelta(days=31)
_AMOUNTS = (PERIODS.c.spent, PERIODS.c.reserved, PERIODS.c.as_of)


def validate_hold(seconds: float) -> timedelta:
    """The length of time for which an amount is reserved.

    Raises:
        UsageError: it is not above 0, or longer than 31 days.
    """
    if not 0 < seconds <= MAX_HOLD.total_seconds():
        longest = f"{MAX_HOLD.total_seconds():.0f} seconds ({MAX_HOLD.days} days)"
        msg = f"the hold must be above 0 and at most {longest}, not {seconds:g}"
        raise UsageError(msg)
    return timedelta(seconds=seconds)


def in_month(budget: Budget, first: date) -> sqlalchemy.ColumnElement[bool]:
    """A condition on `budget_reservation`: the reservations of a budget's month."""
    return (RESERVATIONS.c.budget_id == budget.budget_id) & (RESERVATIONS.c.period_start == first)


def read_active(state: sqlalchemy.Engine, budget: Budget, first: date, now: datetime) -> dict[str, Decimal]:
    """The reservations of a month that have not expired: USD by event id."""
    query = select(RESERVATIONS.c.event_id, RESERVATIONS.c.amount)
    query = query.where(in_month(budget, first) & (RESERVATIONS.c.expires_at > now))
    with state.connect() as connection:
        return {row.event_id: row.amount for row in connection.execute(query)}


def has_expired(state: sqlalchemy.Engine, budget: Budget, first: date, now: datetime) -> bool:
    """Whether a reservation of a month has expired and still counts."""
    expired = in_month(budget, first) & (RESERVATIONS.c.expires_at <= now)
    with state.connect() as connection:
        return connection.execute(select(RESERVATIONS.c.event_id).where(expired).limit(1)).first() is not None


def find_settled(events: ibis.Table, event_ids: Sequence[str]) -> list[str]:
    """The ids whose event has arrived with a cost; an event without a price does not settle its reservation."""
    if not event_ids:
        return []
    settled = events.filter(events.event_id.isin(event_ids), events.cost.notnull()).select("event_id")
    return [str(event_id) for event_id in settled.to_pyarrow()["event_id"].to_pylist()]


def reserve(state: sqlalchemy.Engine, reservation: dict[str, Any]) -> dict[str, Any]:
    """Reserve the whole amount, or nothing if the limit does not allow it.

    Args:
        state: the state database.
        reservation: a row of `budget_reservation`; `amount` is the total for its event id, also if it has one already.

    Returns:
        `spent`, `reserved` and `as_of` of the month, and `expires_at` of the reservation; empty: nothing was reserved.
    """
    with _connect_without_sync(state) as connection:
        amounts = _add_to_period(connection, reservation, reservation["amount"])
        if not amounts or not insert_new(connection, RESERVATIONS, reservation):
            connection.rollback()
            amounts = _replace(connection, reservation)
        if amounts:
            connection.commit()
    return amounts


def _add_to_period(connection: sqlalchemy.Connection, reservation: dict[str, Any], usd: Decimal) -> dict[str, Any]:
    """Add an amount to the month's reservations in one statement, unless the limit forbids it; returns as `reserve`."""
    amount = literal(usd, Money)
    limit = select(BUDGETS.c.monthly_limit).where(BUDGETS.c.budget_id == reservation["budget_id"]).scalar_subquery()
    fits = PERIODS.c.spent + PERIODS.c.reserved + amount <= limit
    statement = update(PERIODS).where(_period_of(reservation) & fits).values(reserved=PERIODS.c.reserved + amount)
    row = connection.execute(statement.returning(*_AMOUNTS)).mappings().one_or_none()
    return {} if row is None else {**row, "expires_at": reservation["expires_at"]}


def _replace(connection: sqlalchemy.Connection, reservation: dict[str, Any]) -> dict[str, Any]:
    """Replace the reservation that has the same event id, if it exists; returns as `reserve`.

    Of a larger amount the difference is reserved, and a smaller one changes nothing. If the earlier reservation has
    expired, the whole amount is reserved.
    """
    lock = update(PERIODS).where(_period_of(reservation)).values(reserved=PERIODS.c.reserved)  # other writers wait
    period = connection.execute(lock.returning(*_AMOUNTS)).mappings().one_or_none()
    same_id = RESERVATIONS.c.event_id == reservation["event_id"]
    previous = connection.execute(select(RESERVATIONS).where(same_id)).mappings().one_or_none()
    if period is None or previous is None:
        return {}
    is_active = previous["expires_at"] > reservation["created_at"]
    if is_active and previous["budget_id"] != reservation["budget_id"]:
        msg = (
            f"the event id {reservation['event_id']!r} is reserved for a request of another project; "
            "give each request an id of its own"
        )
        raise UsageError(msg)
    same_period = all(previous[name] == reservation[name] for name in ("budget_id", "period_start"))
    if is_active and same_period and reservation["amount"] <= previous["amount"]:
        return {**period, "expires_at": previous["expires_at"]}
    current = reservation | {"expires_at": max(reservation["expires_at"], previous["expires_at"])}
    counted = previous["amount"] if same_period else Decimal(0)
    amounts = _add_to_period(connection, current, current["amount"] - counted)
    if amounts:
        connection.execute(update(RESERVATIONS).where(same_id).values(current))
        if not same_period:  # it was of another month, or of another project and expired
            remaining = PERIODS.c.reserved - literal(previous["amount"], Money)
            connection.execute(update(PERIODS).where(_period_of(previous)).values(reserved=remaining))
    return amounts


def _period_of(reservation: Mapping[Any, Any]) -> sqlalchemy.ColumnElement[bool]:
    """A condition on `budget_period`: the month of a reservation."""
    return and_(PERIODS.c.budget_id == reservation["budget_id"], PERIODS.c.period_start == reservation["period_start"])


@contextmanager
def _connect_without_sync(state: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A connection whose commits, on SQLite, do not wait for the disk.

    Nothing is lost if the process dies. A power failure may lose the last reservations, which would expire anyway.
    """
    with state.connect() as connection:
        if state.dialect.name != "sqlite":
            yield connection
            return
        connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
        try:
            yield connection
        finally:
            connection.rollback()
            connection.exec_driver_sql("PRAGMA synchronous = FULL")
