"""Budgets and their forecasts in words."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from hanzo_reports.budgets.crossings import LIKELY
from hanzo_reports.forecast.backtest import SHIPPED_COVERAGE
from hanzo_reports.formats import UNKNOWN, format_relative_change, format_short
from hanzo_reports.html.panels import Note
from hanzo_reports.html.text import show_name
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from hanzo_reports.budgets.status import BudgetStatus
    from hanzo_reports.forecast import Forecast

POSSIBLE = 0.1  # the chance to exceed a budget from which on a page mentions it
Days = tuple[date | None, date | None, date | None]


def describe_risk(status: BudgetStatus) -> Note | None:
    """What a budget's forecast says; None where it is unlikely to be exceeded."""
    name, limit, forecast = show_name(status.budget.project), status.budget.monthly_limit, status.forecast
    chance = forecast.p_exceed
    if status.share >= 1:
        excess = format_short(forecast.spent - limit, Unit.USD)
        return Note(name, f" is over its limit by {excess}.", "bad")
    if chance is None:
        return Note(name, f" has no forecast yet: {forecast.basis.split(';')[0]}.")
    if chance >= LIKELY:
        likely_day = forecast.exhaustion[1]
        when = f", most likely on {format_day(likely_day)}" if likely_day else ""
        amount = format_short(limit, Unit.USD)
        return Note(name, f" is expected to exceed {amount} ({format_chance(chance)} likely){when}.", "bad")
    if chance >= POSSIBLE:
        return Note(name, f" may exceed its limit ({format_chance(chance)} likely).")
    return None


def describe_first(likely: Sequence[BudgetStatus]) -> str:
    """Which of the budgets that are likely to be exceeded is the first, and when."""
    days = [(day, status.budget.project) for status in likely if (day := status.forecast.exhaustion[1])]
    if not days:
        return "already exceeded" if likely else "no budget is likely to be exceeded"
    day, project = min(days)
    return f"{show_name(project)} first, on {format_day(day)}"


def describe_score(score: Mapping[str, Any]) -> list[Note]:
    """How accurate issued forecasts have been; before any could be scored, how accurate the model is on public data.

    Args:
        score: a row of `hanzo_reports.forecast.scorecard.build_scorecard`.
    """
    if not score["forecasts"]:
        coverage = ", ".join(f"{share:.0%} of {burst}" for burst, share in SHIPPED_COVERAGE.items())
        return [
            Note("The 80% interval", f" contained the actual spend for {coverage} public series."),
            Note("Your own record", " starts when the first month is over: issued forecasts are stored and scored."),
        ]
    error, run_rate_error = score["wape"], score["wape_run_rate"]
    comparison = "" if run_rate_error is None else f"; the run rate was {run_rate_error:.1%} off"
    better = run_rate_error is None or error <= run_rate_error
    return [
        Note(_count(score["forecasts"], "forecast"), f" of {_count(score['months'], 'month')} could be scored."),
        Note(f"{error:.1%} off", f" on average{comparison}.", "good" if better else "bad"),
        Note(f"{score['coverage_80']:.0%}", " of them contained the month's actual end in their 80% interval."),
        Note(format_relative_change(score["bias"]), " is the bias: above 0, forecasts were too high."),
    ]


def format_chance(share: float | None) -> str:
    """A probability; never 0% or 100%, as no forecast is certain.

    >>> format_chance(0.42), format_chance(0.9999), format_chance(0.0001)
    ('42%', '> 99%', '< 1%')
    """
    if share is None:
        return UNKNOWN
    if 0.005 <= share <= 0.995:  # noqa: PLR2004  # what rounds to 1 % up to 99 %
        return f"{min(max(share, 0.01), 0.99):.0%}"
    return "> 99%" if share > LIKELY else "< 1%"


def format_interval(forecast: Forecast) -> str:
    """The 80% interval of a month's end; empty without a forecast."""
    return format_range(forecast.p10, forecast.p90)


def format_range(low: Decimal | None, high: Decimal | None) -> str:
    """Two amounts; empty where they are not known."""
    return "" if low is None else f"{format_short(low, Unit.USD)} to {format_short(high, Unit.USD)}"


def format_day(day: date) -> str:
    """A day of the month, as 5 Mar."""
    return f"{day.day} {day:%b}"


def format_days(days: Days) -> str:
    """From the early to the late day of an exhaustion; empty without an early one."""
    early, _, late = days
    if early is None:
        return ""
    if late is None:
        return f"{format_day(early)} or later"
    return format_day(early) if late == early else f"{format_day(early)} to {format_day(late)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
