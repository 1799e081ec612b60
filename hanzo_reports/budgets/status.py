"""How each budget stands: its spend, its reservations, and how its month may end."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hanzo_reports.budgets.reservations import find_settled, read_active
from hanzo_reports.errors import StoreError
from hanzo_reports.forecast.month_end import forecast_panel
from hanzo_reports.forecast.scorecard import record_forecasts
from hanzo_reports.forecast.series import daily_spend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    import ibis
    import sqlalchemy

    from hanzo_reports.budgets.budget import Budget
    from hanzo_reports.budgets.budget_store import Budgets
    from hanzo_reports.forecast.month_end import Forecast


@dataclass(frozen=True)
class BudgetStatus:
    """How one budget stands.

    Args:
        budget: the budget.
        forecast: how its month may end; `forecast.spent` is the spend so far.
        share: spend / limit.
        reserved: USD reserved for requests whose events have not arrived.
        state: ``ok``; ``warning``: spend has reached a threshold; ``exceeded``: spend has reached the limit;
            ``blocked``: spend and reservations have reached a hard limit.
        known: whether the project has had any event in the history of forecasts.
    """

    budget: Budget
    forecast: Forecast
    share: float
    reserved: Decimal
    state: str
    known: bool

    @property
    def row(self) -> dict[str, Any]:
        """The status as plain columns: dates as ISO texts, money as Decimal."""
        forecast = self.forecast.row
        names = ("p10", "p50", "p90", "p_exceed", "exhaustion_p50", "confidence", "as_of", "basis")
        return {
            "project": self.budget.project, "state": self.state, "period": forecast["period"],
            "spent": forecast["spent"], "limit": self.budget.monthly_limit, "share": self.share,
            "reserved": self.reserved, **{name: forecast[name] for name in names},
            "on_exceed": self.budget.on_exceed, "timezone": self.budget.timezone,
        }  # fmt: skip


def evaluate_budgets(budgets: Budgets, events: ibis.Table, now: datetime) -> list[BudgetStatus]:
    """Compute how every budget stands, and record its forecast for the scorecard.

    A state that may only be read records nothing.

    Args:
        budgets: the budgets.
        events: an Ibis table with the columns of events.
        now: the instant of the question, with a UTC offset.

    Returns:
        One status per budget, ordered by project.
    """
    statuses = compute_statuses(budgets.state, budgets.all(), events, now)
    for timezone in sorted({status.budget.timezone for status in statuses}):
        forecasts = [status.forecast for status in statuses if status.budget.timezone == timezone]
        with suppress(StoreError):
            record_forecasts(budgets.state, forecasts, ["project"], timezone, now)
    return statuses


def compute_statuses(
    state: sqlalchemy.Engine, budgets: Sequence[Budget], events: ibis.Table, now: datetime
) -> list[BudgetStatus]:
    """Compute how some budgets stand, without recording anything; see `evaluate_budgets`."""
    statuses: dict[str, BudgetStatus] = {}
    for timezone in sorted({budget.timezone for budget in budgets}):
        in_zone = [budget for budget in budgets if budget.timezone == timezone]
        where = {"project": [budget.project for budget in in_zone]}
        panel = daily_spend(events, now, by=["project"], where=where, timezone=timezone)
        known_projects = {key[0] for key in panel.keys}
        selected = panel.select([(budget.project,) for budget in in_zone])
        forecasts = forecast_panel(selected, [budget.monthly_limit for budget in in_zone])
        for budget, forecast in zip(in_zone, forecasts, strict=True):
            reserved = _sum_reservations(state, budget, forecast.period_start, events, now)
            share = float(forecast.spent / budget.monthly_limit)
            statuses[budget.project] = BudgetStatus(
                budget, forecast, share, reserved, _classify(budget, forecast.spent, reserved),
                budget.project in known_projects,
            )  # fmt: skip
    return [statuses[project] for project in sorted(statuses)]


def _sum_reservations(
    state: sqlalchemy.Engine, budget: Budget, first: date, events: ibis.Table, now: datetime
) -> Decimal:
    """USD of a month's reservations that are neither expired nor settled by the events."""
    active = read_active(state, budget, first, now)
    settled = find_settled(events, list(active))
    return sum((usd for event_id, usd in active.items() if event_id not in settled), Decimal(0))


def _classify(budget: Budget, spent: Decimal, reserved: Decimal) -> str:
    if spent + reserved >= budget.monthly_limit:
        if budget.on_exceed == "hard_limit":
            return "blocked"
        return "exceeded" if spent >= budget.monthly_limit else "warning"
    return "warning" if spent >= budget.thresholds[0] * budget.monthly_limit else "ok"
