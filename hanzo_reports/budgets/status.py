"""How each budget stands: what is spent, how the month may end, which thresholds were just reached."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hanzo_reports.budgets.budget import FULL
from hanzo_reports.budgets.reservations import arrived, awaited
from hanzo_reports.errors import StoreError
from hanzo_reports.forecast.answer import forecasts
from hanzo_reports.forecast.scorecard import issued
from hanzo_reports.forecast.series import daily_spend
from hanzo_reports.metrics.query import aggregate
from hanzo_reports.state.budget_tables import BUDGET_ALERTS, insert_new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import ibis
    import sqlalchemy

    from hanzo_reports.budgets.budget import Budget, Budgets
    from hanzo_reports.forecast.answer import Forecast
    from hanzo_reports.window import Window

LATE = timedelta(days=3)  # so long a month that is over is still looked at
LIKELY = 0.5  # the probability to exceed from which on a forecast is told
FORECAST = "forecast"
STATES = ("ok", "warning", "exceeded", "blocked")


@dataclass(frozen=True)
class Status:
    """How one budget stands.

    Args:
        budget: the budget.
        forecast: how its month may end; `forecast.spent` is what is spent.
        share: spent / limit.
        reserved: USD set aside for requests whose events have not arrived.
        state: ``ok``, ``warning`` (a threshold is reached), ``exceeded``, or ``blocked`` (a hard limit is).
        known: whether the project has had any event in the time looked back.
    """

    budget: Budget
    forecast: Forecast
    share: float
    reserved: Decimal
    state: str
    known: bool

    @property
    def row(self) -> dict[str, Any]:
        """The answer as plain columns."""
        told = self.forecast.row
        first = ("p10", "p50", "p90", "p_exceed", "exhaustion_p50", "confidence", "as_of", "basis")
        return {
            "project": self.budget.project, "state": self.state, "period": told["period"], "spent": told["spent"],
            "limit": self.budget.monthly_limit, "share": self.share, "reserved": self.reserved,
            **{name: told[name] for name in first},
            "on_exceed": self.budget.on_exceed, "timezone": self.budget.timezone,
        }  # fmt: skip


@dataclass(frozen=True)
class Crossing:
    """A threshold that spend has reached for the first time in its month, under its limit.

    Args:
        budget: the budget.
        period_start: the month's first local day.
        threshold: the share of the limit; None: a forecast above the limit.
        spent: USD in that month.
        at: when it was seen.
        notify: whether to tell: of several thresholds reached at once only the highest is told, all are recorded.
        forecast: the month's end that is likely, USD, for a forecast.
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


def statuses(budgets: Budgets, events: ibis.Table, now: datetime) -> list[Status]:
    """How every budget stands, by project; its forecasts are kept, so that a scorecard can judge them.

    Args:
        budgets: the budgets.
        events: any Ibis table with the event's columns.
        now: the instant of asking; must carry an offset.
    """
    found = _statuses(budgets, budgets.all(), events, now)
    for timezone in sorted({each.budget.timezone for each in found}):
        mine = [each.forecast for each in found if each.budget.timezone == timezone]
        with suppress(StoreError):  # whoever may only read is answered all the same
            issued(budgets.state, mine, ["project"], timezone, now)
    return found


def due(budgets: Budgets, events: ibis.Table, now: datetime) -> list[Crossing]:
    """What `crossings` would record and tell now; nothing is recorded. Arguments and order as there."""
    return [crossing for found in _unrecorded(budgets, events, now) for crossing in found]


def crossings(
    budgets: Budgets, events: ibis.Table, now: datetime, tell: Callable[[sqlalchemy.Connection, Crossing], None]
) -> list[Crossing]:
    """The thresholds that were reached since the last such look, each once for a month and a limit; now on record.

    A month that is over is looked at for three more days, for events that come late. A correction downwards takes
    nothing back. Two who look at once tell each crossing once.

    Args:
        budgets: the budgets.
        events: any Ibis table with the event's columns.
        now: the instant of asking; must carry an offset.
        tell: called with each crossing within the transaction that records it: what is not told is not recorded.

    Returns:
        By month, by project, by threshold; with a forecast above the limit, where the budget asks for it, as the last
        of its budget.
    """
    return [each for found in _unrecorded(budgets, events, now) for each in _recorded(budgets.state, found, tell)]


def _unrecorded(budgets: Budgets, events: ibis.Table, now: datetime) -> Iterator[list[Crossing]]:
    """Each budget's crossings of a month that nobody has recorded yet, where there are any."""
    kept = budgets.all()
    ahead = [budget for budget in kept if budget.forecast_alert]
    foreseen = {each.budget.project: each.forecast for each in _statuses(budgets, ahead, events, now)} if ahead else {}
    for budget, first, spent, current in _months(kept, events, now):
        there = _told(budgets.state, budget, first)
        reached = [share for share in budget.thresholds if spent >= share * budget.monthly_limit]
        new = [share for share in reached if f"{share:f}" not in there]
        found = [Crossing(budget, first, share, spent, now, notify=share == new[-1]) for share in new]
        told = foreseen.get(budget.project) if current else None
        if told is not None and FORECAST not in there and FULL not in reached and (told.p_exceed or 0) >= LIKELY:
            found.append(Crossing(budget, first, None, spent, now, notify=True, forecast=told.p50))
        if found:
            yield found


def _statuses(budgets: Budgets, kept: list[Budget], events: ibis.Table, now: datetime) -> list[Status]:
    made: dict[str, Status] = {}
    for timezone in sorted({budget.timezone for budget in kept}):
        mine = [budget for budget in kept if budget.timezone == timezone]
        where = {"project": [budget.project for budget in mine]}
        panel = daily_spend(events, now, by=["project"], where=where, timezone=timezone)
        known = {key[0] for key in panel.keys}
        chosen = panel.chosen([(budget.project,) for budget in mine])
        answers = forecasts(chosen, [budget.monthly_limit for budget in mine])
        for budget, told in zip(mine, answers, strict=True):
            waiting = awaited(budgets.state, budget, told.period_start, now)
            settled = arrived(events, list(waiting))
            reserved = sum((usd for event, usd in waiting.items() if event not in settled), Decimal(0))
            share = float(told.spent / budget.monthly_limit)
            state = _state(budget, told.spent, reserved)
            made[budget.project] = Status(budget, told, share, reserved, state, budget.project in known)
    return [made[project] for project in sorted(made)]


def _state(budget: Budget, spent: Decimal, reserved: Decimal) -> str:
    if spent + reserved >= budget.monthly_limit:
        return (
            "blocked"
            if budget.on_exceed == "hard_limit"
            else "exceeded"
            if spent >= budget.monthly_limit
            else "warning"
        )
    return "warning" if spent >= budget.thresholds[0] * budget.monthly_limit else "ok"


def _months(kept: Sequence[Budget], events: ibis.Table, now: datetime) -> Iterator[tuple[Budget, date, Decimal, bool]]:
    """Each budget with the first day of its month, what that month cost, and whether it is the current one."""
    looked = [
        (budget, *budget.period(now - late), late == timedelta()) for late in (LATE, timedelta()) for budget in kept
    ]
    months: dict[tuple[str, date], tuple[Window, list[Budget], bool]] = {}
    for budget, first, window, current in looked:
        over = first != budget.period(now)[0] and budget.changed_at is not None and budget.changed_at < window.end
        if current or over:
            months.setdefault((budget.timezone, first), (window, [], current))[1].append(budget)
    for (_, first), (window, mine, current) in sorted(months.items(), key=lambda each: each[1][0].start):
        spent = _spent(events, window, now, [budget.project for budget in mine])
        for budget in mine:
            yield budget, first, spent.get(budget.project, Decimal(0)), current


def _spent(events: ibis.Table, window: Window, now: datetime, projects: list[str]) -> dict[str, Decimal]:
    until = replace(window, end=min(window.end, max(now, window.start)), now=now)
    table = aggregate(events, until, ["cost"], by=["project"], where={"project": projects})
    return {row["project"]: row["cost"] or Decimal(0) for row in table.to_pyarrow().to_pylist()}


def _told(state: sqlalchemy.Engine, budget: Budget, first: date) -> set[str]:
    """The thresholds of a month that are on record for the budget's limit."""
    mine = (BUDGET_ALERTS.c.budget_id == budget.budget_id) & (BUDGET_ALERTS.c.period_start == first)
    mine &= BUDGET_ALERTS.c.limit_revision == budget.revision
    with state.connect() as connection:
        return set(connection.execute(select(BUDGET_ALERTS.c.threshold).where(mine)).scalars())


def _recorded(
    state: sqlalchemy.Engine, found: list[Crossing], tell: Callable[[sqlalchemy.Connection, Crossing], None]
) -> list[Crossing]:
    """Those that nobody else has recorded meanwhile; recorded and told now, all or none."""
    kept = []
    with state.begin() as connection:
        for each in found:
            budget = each.budget
            row = {
                "budget_id": budget.budget_id, "period_start": each.period_start, "limit_revision": budget.revision,
                "threshold": FORECAST if each.threshold is None else f"{each.threshold:f}", "project": budget.project,
                "spent": each.spent, "monthly_limit": budget.monthly_limit, "at": each.at, "notify": each.notify,
            }  # fmt: skip
            if insert_new(connection, BUDGET_ALERTS, row):
                kept.append(each)
                tell(connection, each)
    return kept
