"""The forecast of a month's end: the spend with its interval, and when it reaches a limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.calibration import BURST_CLASSES
from hanzo_reports.forecast.level import MIN_PROFILE_DAYS, estimate_level
from hanzo_reports.forecast.outlook import compute_outlook
from hanzo_reports.forecast.series import MAX_EVENT_AGE_DAYS, SpendPanel, build_panel
from hanzo_reports.parse_values import parse_money
from hanzo_reports.window import iso, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hanzo_reports.forecast.outlook import Outlook
    from hanzo_reports.forecast.series import Key

MIN_DAYS, FULL_DAYS = 3, 21  # complete days for any forecast, and for one of high confidence
_PLACES = Decimal("1e-9")
_BURST_TEXTS = {"steady": "steady spend", "uneven": "uneven spend", "bursty": "bursty spend, hard to forecast"}


@dataclass(frozen=True)
class Day:
    """One day of a forecast's path: spend since the start of the month, at the end of the day, in USD."""

    day: date
    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True)
class Forecast:
    """How the calendar month of one group ends.

    Args:
        key: the group's values, in the order of the panel's dimensions.
        period_start: the month's first local day.
        period_end: the first local day after it.
        as_of: the instant up to which events are known.
        spent: USD this month so far, including credits and known charges.
        p10: USD; one total in ten is below it; None: no forecast.
        p50: USD; the median; None: no forecast.
        p90: USD; nine totals in ten are below it; p10 to p90 is the 80% interval; None: no forecast.
        low: USD; the lower end of the 95% interval; None: no forecast.
        high: USD; its upper end; None: no forecast.
        limit: USD; None: no limit.
        p_exceed: the share of totals above the limit, 0 to 1; None: no limit or no forecast.
        exhaustion: the day on which the limit is exceeded in 10%, 50% and 90% of paths; None: not this month.
        path: p10, p50 and p90 of each remaining day.
        burst: how even spend is: ``steady``, ``uneven`` or ``bursty``; None: no forecast.
        confidence: ``none``, ``low``, ``medium`` or ``high``.
        basis: what the forecast is based on, or why there is none.
    """

    key: Key
    period_start: date
    period_end: date
    as_of: datetime
    spent: Decimal
    p10: Decimal | None = None
    p50: Decimal | None = None
    p90: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    limit: Decimal | None = None
    p_exceed: float | None = None
    exhaustion: tuple[date | None, date | None, date | None] = (None, None, None)
    path: tuple[Day, ...] = ()
    burst: str | None = None
    confidence: str = "none"
    basis: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """The forecast as plain columns: dates as ISO texts, money as Decimal."""
        days = [None if day is None else day.isoformat() for day in self.exhaustion]
        return {
            "period": f"{self.period_start:%Y-%m}", "as_of": iso(self.as_of.replace(microsecond=0)),
            "spent": self.spent, "p10": self.p10, "p50": self.p50, "p90": self.p90,
            "low_95": self.low, "high_95": self.high, "limit": self.limit, "p_exceed": self.p_exceed,
            "exhaustion_p10": days[0], "exhaustion_p50": days[1], "exhaustion_p90": days[2],
            "class": self.burst, "confidence": self.confidence, "basis": self.basis,
        }  # fmt: skip


def forecast(
    daily_spend: Mapping[date, Decimal | float | None],
    now: datetime,
    limit: Decimal | float | None = None,
    *,
    timezone: str = "UTC",
    charges: Mapping[date, Decimal] | None = None,
) -> Forecast:
    """Forecast how a series of daily spend ends its calendar month.

    Args:
        daily_spend: USD by local day up to `now`; None: not known. See `series.build_panel`.
        now: the instant of the question, with a UTC offset.
        limit: USD for the month, above 0; None: no limit.
        timezone: the IANA zone of days and months.
        charges: known fixed charges (above 0) and credits (below 0) in USD by day of this month that are not in
            `daily_spend`: those up to today count as spent, later ones as certain.

    Returns:
        The forecast; its amounts are None if the history is too short.

    Raises:
        UsageError: the limit is not above 0, an amount is not finite or too large, a day lies after `now`, or a charge
            in another month.
        UnknownNameError: the time zone is unknown.
    """
    return forecast_panel(build_panel(daily_spend, now, timezone), [limit], [charges or {}])[0]


def forecast_panel(
    panel: SpendPanel,
    limits: Sequence[Decimal | float | None] = (),
    charges: Sequence[Mapping[date, Decimal]] = (),
) -> list[Forecast]:
    """Forecast how each group of a panel ends its calendar month; a group's forecast does not depend on the others.

    Args:
        panel: the daily spend.
        limits: USD for the month of each group, or None; empty: no limits.
        charges: for each group the known charges, as in `forecast`; empty: none.

    Returns:
        One forecast per group, in the order of the panel.

    Raises:
        UsageError: a limit is not above 0, or a charge is not finite, or lies in another month.
    """
    first, next_first = panel.month
    exact_limits = [_parse_limit(limit) for limit in limits] or [None] * len(panel)
    known_charges = [_parse_charges(each, first, next_first) for each in charges] or [{} for _ in panel.keys]
    days = [panel.today + timedelta(days=index) for index in range(max((next_first - panel.today).days, 1))]
    weights = np.array([float(first <= day < next_first) for day in days])
    weights[0] *= _remaining_share(panel.as_of, panel.timezone)
    groups, weekday = len(panel), np.full(len(panel), panel.today.weekday())
    charged = [sum((usd for day, usd in each.items() if day <= panel.today), Decimal(0)) for each in known_charges]
    spent = [usd + charge for usd, charge in zip(panel.spent, charged, strict=True)]
    future = [[float(each.get(day, 0)) * bool(index) for index, day in enumerate(days)] for each in known_charges]
    outlook = compute_outlook(
        estimate_level(panel.history, weekday),
        weekday,
        np.broadcast_to(weights, (groups, len(days))),
        np.array([float(usd) for usd in spent]),
        np.array([np.nan if limit is None else float(limit) for limit in exact_limits]),
        np.cumsum(np.array(future).reshape(groups, len(days)), axis=1),
    )
    forecasts = []
    for row, (key, usd, limit) in enumerate(zip(panel.keys, spent, exact_limits, strict=True)):
        known = Forecast(key, first, next_first, panel.as_of, usd, limit=limit)
        exceeded_on = _find_exceeded_day(panel, row, known, known_charges[row])
        forecasts.append(_complete(known, panel, row, days, outlook, exceeded_on))
    return forecasts


def _complete(  # noqa: PLR0913, PLR0917  # one row of each
    known: Forecast, panel: SpendPanel, row: int, days: Sequence[date], outlook: Outlook, exceeded_on: date | None
) -> Forecast:
    """Add the outlook of one row to what is known of it, or the reason why there is no forecast."""
    if exceeded_on:
        known = replace(known, p_exceed=1.0, exhaustion=(exceeded_on,) * 3)
    unpriced = panel.unpriced[row] if panel.unpriced else 0
    noun = "request" if unpriced == 1 else "requests"
    excluded = f"; excludes {unpriced:,} {noun} of the month with no known price" if unpriced else ""
    history = int(np.isfinite(panel.history[row]).sum())
    if obstacle := _find_obstacle(panel, history):
        return replace(known, basis=f"no forecast: {obstacle}{excluded}")
    burst = BURST_CLASSES[int(outlook.burst[row])]
    low, p10, p50, p90, high = (
        known.spent if np.isnan(total) else _round_money(total) for total in outlook.totals[row]
    )
    path = (Day(day, *map(_round_money, amounts)) for day, amounts in zip(days, outlook.paths[row].T, strict=True))
    if known.limit is not None and not exceeded_on:
        early, likely, late = (days[index] if index < len(days) else None for index in outlook.reached[row])
        known = replace(known, p_exceed=float(outlook.exceeds[row]), exhaustion=(early, likely, late))
    is_low = history < MIN_PROFILE_DAYS or burst == BURST_CLASSES[-1]
    return replace(
        known,
        low=low, p10=p10, p50=p50, p90=p90, high=high,
        path=tuple(day for day in path if known.period_start <= day.day < known.period_end),
        burst=burst,
        confidence="low" if is_low else "high" if history >= FULL_DAYS else "medium",
        basis=f"{history} complete days{_describe_history(history)}; {_BURST_TEXTS[burst]}{excluded}",
    )  # fmt: skip


def _find_obstacle(panel: SpendPanel, history: int) -> str:
    """Why there can be no forecast; empty if there can be one."""
    age = (panel.now - panel.as_of).days
    if age >= MAX_EVENT_AGE_DAYS:
        return f"the newest event is {age} days old; load newer ones"
    if not history:
        return "no spend in the history"
    if history < MIN_DAYS:
        return f"{history} complete {'day' if history == 1 else 'days'} of spend, at least {MIN_DAYS} are needed"
    return ""


def _describe_history(days: int) -> str:
    if days >= FULL_DAYS:
        return ""
    return ", a short history" if days >= MIN_PROFILE_DAYS else ", too few for a weekday profile"


def _find_exceeded_day(panel: SpendPanel, row: int, known: Forecast, charges: Mapping[date, Decimal]) -> date | None:
    """The day on which the month's spend exceeded its limit; None: it has not."""
    if known.limit is None or known.spent <= known.limit:
        return None
    total = 0.0
    for column in range(max((known.period_start - panel.first).days, 0), panel.amounts.shape[1]):
        day = panel.first + timedelta(days=column)
        total += float(np.nan_to_num(panel.net_amounts[row, column])) + float(charges.get(day, 0))
        if total > known.limit:
            return day
    return panel.today  # the panel begins after the month, or the sum of floats is just below the limit


def _remaining_share(instant: datetime, timezone: str) -> float:
    """The share of an instant's local day that is still to come; days have 23 to 25 hours."""
    local = zone(timezone)
    day = instant.astimezone(local).date()
    start, end = midnight(day, local), midnight(day + timedelta(days=1), local)
    return (end - instant) / (end - start)


def _round_money(amount: float) -> Decimal:
    return Decimal(repr(float(amount))).quantize(_PLACES)


def _parse_limit(limit: Decimal | float | None) -> Decimal | None:
    if limit is None:
        return None
    exact = parse_money(limit, "the limit")
    if exact <= 0:
        msg = f"the limit must be above 0, not {limit}"
        raise UsageError(msg)
    return exact


def _parse_charges(charges: Mapping[date, Decimal], first: date, next_first: date) -> dict[date, Decimal]:
    for day in charges:
        if not first <= day < next_first:
            msg = f"the charge of {day} is not in {first:%B %Y}, the month of the forecast; give charges of that month"
            raise UsageError(msg)
    return {day: parse_money(usd, f"the charge of {day}") for day, usd in charges.items()}
