"""Whether one more request may be made: an answer in milliseconds, right when many ask at once.

What is spent is always derived from events. Beside the newest such answer stands what has been set aside for requests
that were allowed and whose events have not arrived; one conditional UPDATE sets aside more, or nothing, so that no
number of clients can pass a hard limit together. An amount set aside is settled by the event with its id, if that has a
cost, and let go when it expires; asking again with its id sets aside what is more, or, once it has expired, all of it
anew.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import delete, literal, select, update

from hanzo_reports.budgets.reservations import arrived, of_month
from hanzo_reports.errors import UsageError, nearest
from hanzo_reports.parse_values import parse_money
from hanzo_reports.state.budget_tables import BUDGETS, PERIODS, RESERVATIONS, Money, insert_new
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime

    from hanzo_reports.budgets.budget import Budget, Budgets
    from hanzo_reports.store.base import Store
    from hanzo_reports.window import Window

FRESH = timedelta(seconds=30)  # how old the answer of the events may be
HOLD, LONGEST = timedelta(minutes=10), timedelta(days=31)  # how long an amount is set aside, usually and at most
_LATE = timedelta(days=1)  # an event may say that it began so long before it was asked for
_REMOVED = "the budget of {!r} was removed while it was asked; ask again"
_AMOUNTS = (PERIODS.c.spent, PERIODS.c.reserved, PERIODS.c.as_of)


@dataclass(frozen=True)
class Decision:
    """Whether a request may be made.

    Args:
        project: who asks.
        allowed: True, or False for a hard limit that would be passed.
        flagged: whether the limit is, or would be, passed; without a budget: whether no event names the project.
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
        event_id: the id that the request's event will carry. Asked again with the same id, only what is more than
            before is set aside, and nothing twice.
        now: the instant of asking.
        fresh: the events are asked again when their last answer is older.
        hold: how long the amount is set aside; at most 31 days.

    Returns:
        The decision. Without a budget everything is allowed, and flagged where no event names the project either;
        ``notify`` and ``soft_limit`` allow and flag.

    Raises:
        UsageError: the estimate is negative, too large or no number, the id is empty, `hold` is too short or too long.
    """
    asked = _estimate(estimate)
    if not event_id:
        msg = "the event id is empty; give the request's own id"
        raise UsageError(msg)
    hold = holding(hold.total_seconds())
    budget, months = budgets.found(project)
    if budget is None:
        return _without_budget(budgets, store, project, asked)
    first, _ = budget.period(now)
    held = months.get(first)
    if held is None or not timedelta() <= now - held["as_of"] < fresh:  # a clock that was ahead is not believed
        held = observe(budgets.state, store, budget, now)
    if budget.on_exceed != "hard_limit":
        over = held["spent"] + asked > budget.monthly_limit
        reason = "over the limit, which is not a hard one" if over else "within the limit"
        return _said(budget, asked, held, allowed=True, flagged=over, reason=reason)
    reservation = {
        "event_id": event_id, "budget_id": budget.budget_id, "period_start": first, "amount": asked,
        "created_at": now, "expires_at": now + hold,
    }  # fmt: skip
    taken = _reserved(budgets.state, reservation)
    if not taken and (held["store_version"] != store.version or _expired(budgets.state, budget, first, now)):
        held = observe(budgets.state, store, budget, now)
        taken = _reserved(budgets.state, reservation)
    if not taken:
        return _said(budget, asked, held, allowed=False, flagged=True, reason="it would pass the hard limit")
    set_aside = {"event_id": event_id, "expires_at": taken["expires_at"]}
    return _said(budget, asked, held | taken, allowed=True, flagged=False, reason="within the limit", **set_aside)


def holding(seconds: float) -> timedelta:
    """How long an amount is set aside.

    Raises:
        UsageError: no time at all, or more than a month.
    """
    if not 0 < seconds <= LONGEST.total_seconds():
        most = f"{LONGEST.total_seconds():.0f} seconds ({LONGEST.days} days)"
        msg = f"the hold must be above 0 and at most {most}, not {seconds:g}"
        raise UsageError(msg)
    return timedelta(seconds=seconds)


def _without_budget(budgets: Budgets, store: Store, project: str, asked: Decimal) -> Decision:
    """Allowed; flagged, with the nearest right name, where nothing names the project."""
    known = _projects(store, store.version)  # type: ignore[arg-type]  # a protocol says nothing of hashes
    reason = "the project has no budget"
    if project not in known:
        near = nearest(project, sorted(known | {budget.project for budget in budgets.all()}))
        reason = f"no budget and no event names the project{f'; did you mean {near!r}?' if near else ''}"
    return Decision(project, allowed=True, flagged=project not in known, reason=reason, estimate=asked)


@lru_cache(maxsize=4)
def _projects(store: Store, version: str) -> frozenset[str]:
    """The projects that events name; asked once for each version of a store."""
    del version
    named = store.events().select("project").distinct().to_pyarrow()["project"].to_pylist()
    return frozenset(name for name in named if name)


def observe(state: sqlalchemy.Engine, store: Store, budget: Budget, now: datetime) -> dict[str, Any]:
    """The events asked what a budget's month has cost; amounts that they settle, or that have expired, are let go.

    Returns:
        The row of `budget_period`, as it is then.
    """
    first, window = budget.period(now)
    mine = (PERIODS.c.budget_id == budget.budget_id) & (PERIODS.c.period_start == first)
    waiting = of_month(budget, first)
    held = _period(state, budget, first)
    version = store.version
    spent: Decimal = Decimal(0) if held is None else held["spent"]
    settled: list[str] = []
    if held is None or held["store_version"] != version:
        spent, settled = _asked(state, store, budget, window, waiting)
    values = {"spent": spent, "as_of": now, "store_version": version}
    with _kept(budget), state.begin() as connection:
        if held is None:
            row = {"budget_id": budget.budget_id, "period_start": first, "reserved": Decimal(0), "turn": 0}
            insert_new(connection, PERIODS, row | values)
        turn = 0 if held is None else held["turn"]
        newer = mine & (PERIODS.c.turn == turn)
        if connection.execute(update(PERIODS).where(newer).values(values | {"turn": turn + 1})).rowcount:
            done = waiting & (RESERVATIONS.c.event_id.in_(settled) | (RESERVATIONS.c.expires_at <= now))
            gone = list(connection.execute(select(RESERVATIONS.c.amount).where(done)).scalars())
            connection.execute(delete(RESERVATIONS).where(done))
            freed = literal(sum(gone, Decimal(0)), Money)
            connection.execute(update(PERIODS).where(mine).values(reserved=PERIODS.c.reserved - freed))
    found = _period(state, budget, first)
    if found is None:
        raise UsageError(_REMOVED.format(budget.project))
    return found


@contextmanager
def _kept(budget: Budget) -> Iterator[None]:
    """A row that refers to a budget which is there no longer, as an error of ours."""
    try:
        yield
    except sqlalchemy.exc.IntegrityError:
        raise UsageError(_REMOVED.format(budget.project)) from None


def _asked(
    state: sqlalchemy.Engine, store: Store, budget: Budget, window: Window, waiting: sqlalchemy.ColumnElement[bool]
) -> tuple[Decimal, list[str]]:
    """What a month's events cost, and which of the awaited ones have arrived, both from one version of the events."""
    from hanzo_reports.metrics.query import filter_events  # noqa: PLC0415  # most decisions ask no events

    events = store.events(window.start - _LATE, window.end)
    with state.connect() as connection:  # after the events were chosen: whatever is among them was awaited before
        ids = list(connection.execute(select(RESERVATIONS.c.event_id).where(waiting)).scalars())
    mine = filter_events(events, window, {"project": budget.project}, ["cost"])
    spent = mine.aggregate(spent=mine.cost.sum()).to_pyarrow()["spent"][0].as_py() or Decimal(0)
    return spent, arrived(events, ids)


def _expired(state: sqlalchemy.Engine, budget: Budget, first: date, now: datetime) -> bool:
    """Whether an amount of the month is still set aside that should not be."""
    old = of_month(budget, first) & (RESERVATIONS.c.expires_at <= now)
    with state.connect() as connection:
        return connection.execute(select(RESERVATIONS.c.event_id).where(old).limit(1)).first() is not None


def _reserved(state: sqlalchemy.Engine, reservation: dict[str, Any]) -> dict[str, Any]:
    """The month's amounts with this one set aside and when it expires, or nothing: all or none, whoever else asks."""
    with _quick(state) as connection:
        taken = _more(connection, reservation, reservation["amount"])
        if not taken or not insert_new(connection, RESERVATIONS, reservation):
            connection.rollback()
            taken = _again(connection, reservation)
        if taken:
            connection.commit()
    return taken


def _more(connection: sqlalchemy.Connection, reservation: dict[str, Any], usd: Decimal) -> dict[str, Any]:
    """The month's amounts with so much more set aside, or nothing where the limit forbids it: in one statement."""
    more = literal(usd, Money)
    limit = select(BUDGETS.c.monthly_limit).where(BUDGETS.c.budget_id == reservation["budget_id"]).scalar_subquery()
    fits = PERIODS.c.spent + PERIODS.c.reserved + more <= limit
    changed = update(PERIODS).where(_month(reservation) & fits).values(reserved=PERIODS.c.reserved + more)
    row = connection.execute(changed.returning(*_AMOUNTS)).mappings().one_or_none()
    return {} if row is None else {**row, "expires_at": reservation["expires_at"]}


def _again(connection: sqlalchemy.Connection, reservation: dict[str, Any]) -> dict[str, Any]:
    """As `_reserved`, for an id that is there already; nothing where it is not.

    Of a larger amount the difference is set aside. One that has expired counts as none: all of it is set aside anew.
    """
    lock = update(PERIODS).where(_month(reservation)).values(reserved=PERIODS.c.reserved)  # others wait from here on
    held = connection.execute(lock.returning(*_AMOUNTS)).mappings().one_or_none()
    mine = RESERVATIONS.c.event_id == reservation["event_id"]
    before = connection.execute(select(RESERVATIONS).where(mine)).mappings().one_or_none()
    if held is None or before is None:
        return {}
    alive = before["expires_at"] > reservation["created_at"]
    if alive and before["budget_id"] != reservation["budget_id"]:
        msg = f"the event id {reservation['event_id']!r} is awaited for another project; ids are unique"
        raise UsageError(msg)
    here = all(before[name] == reservation[name] for name in ("budget_id", "period_start"))
    if alive and here and reservation["amount"] <= before["amount"]:
        return {**held, "expires_at": before["expires_at"]}
    kept = reservation | {"expires_at": max(reservation["expires_at"], before["expires_at"])}
    taken = _more(connection, kept, kept["amount"] - (before["amount"] if here else Decimal(0)))
    if taken:
        connection.execute(update(RESERVATIONS).where(mine).values(kept))
        if not here:  # of another month, or of another project and expired: let go there
            less = PERIODS.c.reserved - literal(before["amount"], Money)
            connection.execute(update(PERIODS).where(_month(before)).values(reserved=less))
    return taken


def _month(row: Mapping[Any, Any]) -> sqlalchemy.ColumnElement[bool]:
    """Which row of `budget_period` an amount that is set aside belongs to."""
    return sqlalchemy.and_(PERIODS.c.budget_id == row["budget_id"], PERIODS.c.period_start == row["period_start"])


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
    exact = parse_money(given, "the estimate")
    if exact < 0:
        msg = f"the estimate must be 0 or more, not {given}"
        raise UsageError(msg)
    return exact
