"""The forecast as an answer: how the month ends, how sure that is, when a limit is reached, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.level import PROFILE_FROM, level
from hanzo_reports.forecast.model import BURSTS, outlook
from hanzo_reports.forecast.series import STALE, Panel, given
from hanzo_reports.parse_values import parse_money
from hanzo_reports.window import iso, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hanzo_reports.forecast.model import Outlook
    from hanzo_reports.forecast.series import Key

FEWEST, FULL = 3, 21  # complete days for any forecast, and for one that is not marked as young
_PLACES = Decimal("1e-9")
_WORDS = {"steady": "steady spend", "uneven": "uneven spend", "bursty": "bursty spend, which nobody forecasts well"}


@dataclass(frozen=True)
class Day:
    """One day of a forecast's path: spend since the month's start, at the day's end, in USD."""

    day: date
    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True)
class Forecast:
    """How one group's calendar month ends.

    Args:
        key: the group's values, in the order of the panel's dimensions.
        period_start: the month's first local day.
        period_end: the first day after it.
        as_of: the instant up to which events were known.
        spent: USD this month so far, credits and known charges included.
        p10: one end in ten is below this; USD; None where nothing can be said.
        p50: one in two.
        p90: nine in ten; p10 to p90 is the 80 % interval.
        low: the lower end of the 95 % interval.
        high: its upper end.
        limit: the budget that was asked about, or None.
        p_exceed: the share of ends above it, 0 to 1; None without limit or forecast.
        exhaustion: the day on which it is exceeded in 10 %, 50 % and 90 % of all cases; None: not this month.
        path: p10, p50 and p90 for each day that is left.
        burst: how even spend is: ``steady``, ``uneven``, ``bursty``; None without forecast.
        confidence: ``none``, ``low``, ``medium`` or ``high``.
        basis: in words, what it rests on.
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
        """The answer as plain columns: dates as ISO texts, money as Decimal."""
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
    """How a series of daily spend ends its calendar month.

    Args:
        daily_spend: USD for each local day up to `now`; see `series.given`.
        now: the instant of asking; must carry an offset.
        limit: a budget for the month, above 0.
        timezone: the IANA zone in which days and months are cut.
        charges: fixed charges (above 0) and credits (below 0) that are known and not in `daily_spend`, by day: those
            of the month up to today count as spent, later ones as sure to come. No day of another month.

    Returns:
        The forecast; its amounts are None where the history is too short.

    Raises:
        UsageError: the limit is not above 0, an amount is not finite or too large, a day lies after `now`, a charge
            in another month.
    """
    return forecasts(given(daily_spend, now, timezone), [limit], [charges or {}])[0]


def forecasts(
    panel: Panel,
    limits: Sequence[Decimal | float | None] = (),
    charges: Sequence[Mapping[date, Decimal]] = (),
) -> list[Forecast]:
    """How each group of a panel ends its month; thousands at once, each as it would be alone.

    Args:
        panel: the daily spend.
        limits: a budget for each group, or None; empty: no budgets.
        charges: for each group what is known to be charged, as in `forecast`; empty: nothing.

    Raises:
        UsageError: a limit is not above 0, or a charge is not finite, or lies in another month.
    """
    first, after = panel.month
    asked = [_limit(limit) for limit in limits] or [None] * len(panel)
    known = [_charges(each, first, after) for each in charges] or [{} for _ in panel.keys]
    left = [panel.today + timedelta(days=place) for place in range(max((after - panel.today).days, 1))]
    counted = np.array([float(first <= day < after) for day in left])
    counted[0] *= _left_of(panel.as_of, panel.timezone)
    groups, weekday = len(panel), np.full(len(panel), panel.today.weekday())
    passed = [sum((usd for day, usd in each.items() if day <= panel.today), Decimal(0)) for each in known]
    spent = [paid + charged for paid, charged in zip(panel.spent, passed, strict=True)]
    coming = [[float(each.get(day, 0)) * bool(place) for place, day in enumerate(left)] for each in known]
    ends = outlook(
        level(panel.history, weekday),
        weekday,
        np.broadcast_to(counted, (groups, len(left))),
        np.array([float(each) for each in spent]),
        np.array([np.nan if limit is None else float(limit) for limit in asked]),
        np.cumsum(np.array(coming).reshape(groups, len(left)), axis=1),
    )
    bare = [
        Forecast(key, first, after, panel.as_of, paid, limit=limit)
        for key, paid, limit in zip(panel.keys, spent, asked, strict=True)
    ]
    over = [_passed(panel, row, told, known[row]) for row, told in enumerate(bare)]
    return [_told(told, panel, row, left, ends, over[row]) for row, told in enumerate(bare)]


def _told(  # noqa: PLR0913, PLR0917  # what is known of one row
    told: Forecast, panel: Panel, row: int, left: Sequence[date], ends: Outlook, over: date | None
) -> Forecast:
    """The answer for one row; without amounts where nothing can be said."""
    days = int(np.isfinite(panel.history[row]).sum())
    missing = panel.unpriced[row] if panel.unpriced else 0
    more = f"; {missing:,} requests of the month have no known price and are not in it" if missing else ""
    certain = replace(told, p_exceed=1.0, exhaustion=(over,) * 3) if over else told
    old = (panel.now - panel.as_of).days
    if old >= STALE:
        return replace(certain, basis=f"no forecast: the newest event is {old} days old; load newer ones{more}")
    if days < FEWEST:
        short = f"no forecast: {days} complete {'day' if days == 1 else 'days'} of spend, {FEWEST} are needed"
        return replace(certain, basis=(short if days else "no forecast: no spend in the history") + more)
    burst, place = BURSTS[int(ends.burst[row])], len(left)
    amounts = [told.spent if np.isnan(end) else _money(end) for end in ends.ends[row]]
    path = (Day(day, *map(_money, values)) for day, values in zip(left, ends.paths[row].T, strict=True))
    if told.limit is not None and not over:
        reached = tuple(left[at] if at < place else None for at in ends.reached[row])
        certain = replace(told, p_exceed=float(ends.exceeds[row]), exhaustion=(reached[0], reached[1], reached[2]))
    young = "" if days >= FULL else ", a short history" if days >= PROFILE_FROM else ", too few to tell weekdays apart"
    return replace(
        certain,
        low=amounts[0], p10=amounts[1], p50=amounts[2], p90=amounts[3], high=amounts[4],
        path=tuple(day for day in path if told.period_start <= day.day < told.period_end),
        burst=burst,
        confidence="low" if days < PROFILE_FROM or burst == BURSTS[-1] else "high" if days >= FULL else "medium",
        basis=f"{days} complete days{young}; {_WORDS[burst]}{more}",
    )  # fmt: skip


def _passed(panel: Panel, row: int, told: Forecast, known: Mapping[date, Decimal]) -> date | None:
    """The day on which the month's spend went over its limit, as far as the days tell: the last one at the latest."""
    if told.limit is None or told.spent <= told.limit:
        return None
    total = 0.0
    for at in range(max((told.period_start - panel.first).days, 0), panel.amounts.shape[1]):
        day = panel.first + timedelta(days=at)
        total += float(np.nan_to_num(panel.paid[row, at])) + float(known.get(day, 0))
        if total > told.limit:
            return day
    return panel.today


def _left_of(as_of: datetime, timezone: str) -> float:
    """The share of the local day of an instant that is still to come; days have 23 to 25 hours."""
    local = zone(timezone)
    today = as_of.astimezone(local).date()
    start, end = midnight(today, local), midnight(today + timedelta(days=1), local)
    return (end - as_of) / (end - start)


def _money(amount: float) -> Decimal:
    return Decimal(repr(float(amount))).quantize(_PLACES)


def _limit(limit: Decimal | float | None) -> Decimal | None:
    if limit is None:
        return None
    exact = parse_money(limit, "the limit")
    if exact <= 0:
        msg = f"a limit must be an amount above 0, not {limit}"
        raise UsageError(msg)
    return exact


def _charges(charges: Mapping[date, Decimal], first: date, after: date) -> dict[date, Decimal]:
    for day in charges:
        if not first <= day < after:
            msg = f"the charge of {day} is not in {first:%B %Y}, the month of the forecast; give charges of that month"
            raise UsageError(msg)
    return {day: parse_money(usd, f"the charge of {day}") for day, usd in charges.items()}
