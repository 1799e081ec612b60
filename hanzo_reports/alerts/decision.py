"""Whether one more request may be made: an answer in milliseconds, right when many ask at once.

What is spent is always derived from events. Beside the newest such answer stands what has been set aside for requests
that were allowed and whose events have not arrived; one conditional UPDATE sets aside more, or nothing, so that no
number of clients can pass a hard limit together. An amount set aside is settled by the event with its id, and let go
when it expires.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, literal, select, update

from hanzo_reports.alerts.budgets import Budgets, amount
from hanzo_reports.errors import UsageError
from hanzo_reports.store.budget_tables import BUDGETS, PERIODS, RESERVATIONS, Money, insert_new
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    import sqlalchemy

    from hanzo_reports.alerts.budgets import Budget
    from hanzo_reports.store.base import Store
    from hanzo_reports.window import Window

FRESH = timedelta(seconds=30)  # how old the answer of the events may be
HOLD = timedelta(minutes=10)  # how long an amount is set aside
_LATE = timedelta(days=1)  # an event may say that it began so long before it was asked for


@dataclass(frozen=True)
class Decision:
    """Whether a request may be made.

    Args:
        project: who asks.
        allowed: True, or False for a hard limit that would be passed.
        flagged: whether the limit is, or would be, passed.
        reason: one line.
        estimate: USD that the request may cost.
        event_id: the id that the request's event must carry to settle what is set aside; None: nothing is.
        expires_at: when what is set aside is let go.
        limit: USD a month, or None without a budget.
        spent: USD this month, by the events known at `as_of`.
        reserved: USD set aside, this request included.
        as_of: when the events were last asked; later ones are not in `spent` yet.
    """

    project: str
    allowed: bool
    flagged: bool
    reason: str
    estimate: Decimal
    event_id: str | None = None
    expires_at: datetime | None = None
    limit: Decimal | None = None
    spent: Decimal | None = None
    reserved: Decimal | None = None
    as_of: datetime | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The answer as plain columns: instants as ISO texts, money as Decimal."""
        return {
            "project": self.project, "decision": "allow" if self.allowed else "deny", "flagged": self.flagged,
            "reason": self.reason, "estimate": self.estimate, "limit": self.limit, "spent": self.spent,
            "reserved": self.reserved, "event_id": self.event_id,
            "expires_at": None if self.expires_at is None else iso(self.expires_at),
            "as_of": None if self.as_of is None else iso(self.as_of),
        }  # fmt: skip


def decision(  # noqa: PLR0913
    budgets: Budgets,
    store: Store,
    project: str,
    estimate: Decimal | float | str,
    *,
    event_id: str,
    now: datetime,
    fresh: timedelta = FRESH,
    hold: timedelta = HOLD,
) -> Decision:
    """Whether a project may make a request of about this cost, and for a hard limit the amount set aside.

    Args:
        budgets: the budgets of the store.
        store: where the events are.
        project: who asks.
        estimate: USD, 0 or more; a part below a billionth is rounded up.
        event_id: the id that the request's event will carry. Asked again with the same id, nothing more is set aside.
        now: the instant of asking.
        fresh: the events are asked again when their last answer is older.
        hold: how long the amount is set aside.

    Returns:
        The decision. Without a budget everything is allowed; ``notify`` and ``soft_limit`` allow and flag.

    Raises:
        UsageError: the estimate is negative or no number, the id is empty, or `hold` is not above 0.
    """
    asked = _estimate(estimate)
    if not event_id or hold <= timedelta():
        msg = (
            f"the hold must be above 0, not {hold}" if event_id else "the event id is empty; give the request's own id"
        )
        raise UsageError(msg)
    budget, months = budgets.found(project)
    if budget is None:
        return Decision(project, allowed=True, flagged=False, reason="the project has no budget", estimate=asked)
    first, _ = budget.period(now)
    held = months.get(first)
    if held is None or now - held["as_of"] >= fresh:
        held = observe(budgets.state, store, budget, now)
    if budget.on_exceed != "hard_limit":
        over = held["spent"] + asked > budget.monthly_limit
        reason = "over the limit, which is not a hard one" if over else "within the limit"
        return _said(budget, asked, held, allowed=True, flagged=over, reason=reason)
    expires = now + hold
    reservation = {
        "event_id": event_id, "budget_id": budget.budget_id, "period_start": first, "amount": asked,
        "created_at": now, "expires_at": expires,
    }  # fmt: skip
    taken = _reserved(budgets.state, reservation)
    if not taken and (held["store_version"] != store.version or _expired(budgets.state, budget, now)):
        held = observe(budgets.state, store, budget, now)
        taken = _reserved(budgets.state, reservation)
    if not taken:
        return _said(budget, asked, held, allowed=False, flagged=True, reason="it would pass the hard limit")
    set_aside = {"event_id": event_id, "expires_at": expires}
    return _said(budget, asked, held | taken, allowed=True, flagged=False, reason="within the limit", **set_aside)


def observe(state: sqlalchemy.Engine, store: Store, budget: Budget, now: datetime) -> dict[str, Any]:
    """The events asked what a budget's month has cost; amounts that they settle, or that have expired, are let go.

    Returns:
        The row of `budget_period`, as it is then.
    """
    first, window = budget.period(now)
    mine = (PERIODS.c.budget_id == budget.budget_id) & (PERIODS.c.period_start == first)
    waiting = (RESERVATIONS.c.budget_id == budget.budget_id) & (RESERVATIONS.c.period_start == first)
    held = _period(state, budget, first)
    version = store.version
    spent: Decimal = Decimal(0) if held is None else held["spent"]
    arrived: list[str] = []
    if held is None or held["store_version"] != version:
        spent, arrived = _asked(state, store, budget, window, waiting)
    values = {"spent": spent, "as_of": now, "store_version": version}
    with state.begin() as connection:
        if held is None:
            row = {"budget_id": budget.budget_id, "period_start": first, "reserved": Decimal(0), "turn": 0}
            insert_new(connection, PERIODS, row | values)
        turn = 0 if held is None else held["turn"]
        newer = mine & (PERIODS.c.turn == turn)
        if connection.execute(update(PERIODS).where(newer).values(values | {"turn": turn + 1})).rowcount:
            done = waiting & (RESERVATIONS.c.event_id.in_(arrived) | (RESERVATIONS.c.expires_at <= now))
            gone = list(connection.execute(select(RESERVATIONS.c.amount).where(done)).scalars())
            connection.execute(delete(RESERVATIONS).where(done))
            freed = literal(sum(gone, Decimal(0)), Money)
            connection.execute(update(PERIODS).where(mine).values(reserved=PERIODS.c.reserved - freed))
    found = _period(state, budget, first)
    if found is None:
        msg = f"the budget of {budget.project!r} was removed while it was asked"
        raise UsageError(msg)
    return found


def _asked(
    state: sqlalchemy.Engine, store: Store, budget: Budget, window: Window, waiting: sqlalchemy.ColumnElement[bool]
) -> tuple[Decimal, list[str]]:
    """What a month's events cost, and which of the awaited ones have arrived, both from one version of the events."""
    from hanzo_reports.metrics.query import selected  # noqa: PLC0415  # most decisions ask no events

    events = store.events(window.start - _LATE, window.end)
    with state.connect() as connection:  # after the events were chosen: whatever is among them was awaited before
        ids = list(connection.execute(select(RESERVATIONS.c.event_id).where(waiting)).scalars())
    mine = selected(events, window, {"project": budget.project}, ["cost"])
    spent = mine.aggregate(spent=mine.cost.sum()).to_pyarrow()["spent"][0].as_py() or Decimal(0)
    if not ids:
        return spent, []
    return spent, events.filter(events.event_id.isin(ids)).select("event_id").to_pyarrow()["event_id"].to_pylist()


def _expired(state: sqlalchemy.Engine, budget: Budget, now: datetime) -> bool:
    """Whether an amount is still set aside that should not be."""
    old = (RESERVATIONS.c.budget_id == budget.budget_id) & (RESERVATIONS.c.expires_at <= now)
    with state.connect() as connection:
        return connection.execute(select(RESERVATIONS.c.event_id).where(old).limit(1)).first() is not None


def _reserved(state: sqlalchemy.Engine, reservation: dict[str, Any]) -> dict[str, Any]:
    """The month's amounts with this one set aside, or nothing: decided in one statement, whoever else asks."""
    estimate = literal(reservation["amount"], Money)
    mine = (PERIODS.c.budget_id == reservation["budget_id"]) & (PERIODS.c.period_start == reservation["period_start"])
    limit = select(BUDGETS.c.monthly_limit).where(BUDGETS.c.budget_id == reservation["budget_id"]).scalar_subquery()
    fits = PERIODS.c.spent + PERIODS.c.reserved + estimate <= limit
    more = update(PERIODS).where(mine & fits).values(reserved=PERIODS.c.reserved + estimate)
    amounts = (PERIODS.c.spent, PERIODS.c.reserved, PERIODS.c.as_of)
    with _quick(state) as connection:
        taken = connection.execute(more.returning(*amounts)).mappings().one_or_none()
        if taken is not None and insert_new(connection, RESERVATIONS, reservation):
            connection.commit()
            return {**taken}
        connection.rollback()
        same = RESERVATIONS.c.event_id == reservation["event_id"]
        there = connection.execute(select(RESERVATIONS.c.budget_id).where(same)).scalar()
        held = connection.execute(select(*amounts).where(mine)).mappings().one_or_none()
    if there not in {None, reservation["budget_id"]}:
        msg = f"the event id {reservation['event_id']!r} is awaited for another project; ids are unique"
        raise UsageError(msg)
    return {} if there is None or held is None else {**held}


@contextmanager
def _quick(state: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A connection whose commits, on SQLite, do not wait for the disk.

    A process that dies forgets nothing. A power cut may forget the last amounts set aside, which would expire anyway.
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


def _period(state: sqlalchemy.Engine, budget: Budget, first: date) -> dict[str, Any] | None:
    mine = (PERIODS.c.budget_id == budget.budget_id) & (PERIODS.c.period_start == first)
    with state.connect() as connection:
        row = connection.execute(select(PERIODS).where(mine)).mappings().one_or_none()
    return None if row is None else dict(row)


def _said(budget: Budget, asked: Decimal, held: dict[str, Any], **told: Any) -> Decision:  # noqa: ANN401
    known = {name: held[name] for name in ("spent", "reserved", "as_of")}
    return Decision(budget.project, estimate=asked, limit=budget.monthly_limit, **known, **told)


def _estimate(given: Decimal | float | str) -> Decimal:
    exact = amount(given, "the estimate")
    if exact < 0:
        msg = f"the estimate must be 0 or more, not {given}"
        raise UsageError(msg)
    return exact
