"""Crossings: the thresholds that a month's spend has reached, each recorded and notified once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hanzo_reports.budgets.budget import WHOLE_LIMIT
from hanzo_reports.budgets.status import compute_statuses
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.state.budget_tables import BUDGET_ALERTS, insert_new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import ibis
    import sqlalchemy

    from hanzo_reports.budgets.budget import Budget
    from hanzo_reports.budgets.budget_store import Budgets
    from hanzo_reports.window import Window

LATE_EVENTS = timedelta(days=3)  # how long after its end a month is still checked
LIKELY = 0.5  # the chance to exceed the limit from which on a forecast is notified
FORECAST = "forecast"  # stands in the place of a threshold


@dataclass(frozen=True)
class Crossing:
    """A threshold that spend has reached for the first time in a month under one limit.

    Args:
        budget: the budget.
        period_start: the month's first local day.
        threshold: the share of the limit; None: a forecast above the limit.
        spent: USD in that month.
        at: when it was detected.
        notify: whether to notify it: of several thresholds reached at once, all are recorded and the highest is
            notified.
        forecast: the likely spend at the month's end, USD; None: a threshold.
    """

    budget: Budget
    period_start: date
    threshold: Decimal | None
    spent: Decimal
    at: datetime
    notify: bool
    forecast: Decimal | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The crossing as plain columns."""
        return {
            "project": self.budget.project, "period_start": self.period_start.isoformat(),
            "threshold": FORECAST if self.threshold is None else float(self.threshold), "spent": self.spent,
            "limit": self.budget.monthly_limit, "forecast": self.forecast, "notify": self.notify,
            "on_exceed": self.budget.on_exceed, "limit_revision": self.budget.revision,
        }  # fmt: skip


def find_crossings(budgets: Budgets, events: ibis.Table, now: datetime) -> list[Crossing]:
    """The crossings that `record_crossings` would record now; arguments and order as there."""
    return [crossing for new in _find_unrecorded(budgets, events, now) for crossing in new]


def record_crossings(
    budgets: Budgets, events: ibis.Table, now: datetime, notify: Callable[[sqlalchemy.Connection, Crossing], None]
) -> list[Crossing]:
    """Record the thresholds that were reached since the last check, each once per month and limit.

    A month is checked until three days after its end, for late events. A correction downwards removes no crossing. Two
    concurrent checks notify each crossing once.

    Args:
        budgets: the budgets.
        events: an Ibis table with the columns of events.
        now: the instant of the check, with a UTC offset.
        notify: called with each crossing in the transaction that records it, so that both happen or neither.

    Returns:
        The new crossings by month, project and threshold; a forecast above the limit, if the budget notifies those,
        is the last of its budget.
    """
    unrecorded = _find_unrecorded(budgets, events, now)
    return [crossing for new in unrecorded for crossing in _record(budgets.state, new, notify)]


def _find_unrecorded(budgets: Budgets, events: ibis.Table, now: datetime) -> Iterator[list[Crossing]]:
    """The crossings of each budget and month that are not on record, where there are any."""
    every = budgets.all()
    with_forecast = [budget for budget in every if budget.forecast_alert]
    statuses = compute_statuses(budgets.state, with_forecast, events, now) if with_forecast else []
    forecasts = {status.budget.project: status.forecast for status in statuses}
    for budget, first, spent, is_current in _read_months(every, events, now):
        recorded = _read_recorded(budgets.state, budget, first)
        reached = [share for share in budget.thresholds if spent >= share * budget.monthly_limit]
        new = [share for share in reached if f"{share:f}" not in recorded]
        crossings = [Crossing(budget, first, share, spent, now, notify=share == new[-1]) for share in new]
        forecast = forecasts.get(budget.project) if is_current and FORECAST not in recorded else None
        if forecast is not None and WHOLE_LIMIT not in reached and (forecast.p_exceed or 0) >= LIKELY:
            crossings.append(Crossing(budget, first, None, spent, now, notify=True, forecast=forecast.p50))
        if crossings:
            yield crossings


def _read_months(
    budgets: Sequence[Budget], events: ibis.Table, now: datetime
) -> Iterator[tuple[Budget, date, Decimal, bool]]:
    """Each budget and month to check: the budget, the month's first day, its spend, whether it is the current one.

    The previous month is checked only if the budget already existed in it.
    """
    months: dict[tuple[str, date], tuple[Window, list[Budget], bool]] = {}
    for age in (LATE_EVENTS, timedelta()):
        is_current = not age
        for budget in budgets:
            first, window = budget.period(now - age)
            is_over = first != budget.period(now)[0]
            if is_current or (is_over and budget.changed_at is not None and budget.changed_at < window.end):
                months.setdefault((budget.timezone, first), (window, [], is_current))[1].append(budget)
    for (_, first), (window, selected, is_current) in sorted(months.items(), key=lambda month: month[1][0].start):
        spent = _read_spend(events, window, now, [budget.project for budget in selected])
        for budget in selected:
            yield budget, first, spent.get(budget.project, Decimal(0)), is_current


def _read_spend(events: ibis.Table, window: Window, now: datetime, projects: list[str]) -> dict[str, Decimal]:
    """USD by project, up to `now`."""
    elapsed = replace(window, end=min(window.end, max(now, window.start)), now=now)
    table = aggregate(events, elapsed, ["cost"], by=["project"], where={"project": projects})
    return {row["project"]: row["cost"] or Decimal(0) for row in table.to_pyarrow().to_pylist()}


def _read_recorded(state: sqlalchemy.Engine, budget: Budget, first: date) -> set[str]:
    """The thresholds of a month that are on record for the budget's limit."""
    same = (BUDGET_ALERTS.c.budget_id == budget.budget_id) & (BUDGET_ALERTS.c.period_start == first)
    same &= BUDGET_ALERTS.c.limit_revision == budget.revision
    with state.connect() as connection:
        return set(connection.execute(select(BUDGET_ALERTS.c.threshold).where(same)).scalars())


def _record(
    state: sqlalchemy.Engine, crossings: list[Crossing], notify: Callable[[sqlalchemy.Connection, Crossing], None]
) -> list[Crossing]:
    """Record and notify crossings in one transaction; return those that no other check has recorded meanwhile."""
    new = []
    with state.begin() as connection:
        for crossing in crossings:
            budget, threshold = crossing.budget, crossing.threshold
            row = {
                "budget_id": budget.budget_id, "period_start": crossing.period_start,
                "limit_revision": budget.revision, "threshold": FORECAST if threshold is None else f"{threshold:f}",
                "project": budget.project, "spent": crossing.spent, "monthly_limit": budget.monthly_limit,
                "at": crossing.at, "notify": crossing.notify,
            }  # fmt: skip
            if insert_new(connection, BUDGET_ALERTS, row):
                new.append(crossing)
                notify(connection, crossing)
    return new
