"""How good forecasts would have been: made again and again in the past, and compared with what came."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.level import WEEK, level
from hanzo_reports.forecast.model import BURSTS, calibration, outlook
from hanzo_reports.forecast.series import HISTORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hanzo_reports.forecast.level import Floats, Integers

PUBLIC = Path(__file__).parent / "data" / "public_daily.csv.gz"
PERIOD, STEP, DAYS, FEWEST = 30, 3, (5, 10, 15, 20), 21
OURS = "forecast"
SHIPPED_COVERAGE = {
    "steady": 0.82,
    "uneven": 0.83,
    "bursty": 0.88,
}  # of the public series, mean of DAYS; a test measures it
Daily = "Mapping[str, Mapping[date, float | None]]"


@dataclass(frozen=True)
class Origins:
    """Every moment at which a forecast is made; one row each.

    Args:
        series: whose moment it is, as a place in the order of the series.
        day: complete days of the period.
        history: origin x day: what was known, newest last.
        weekday: the weekday of the first day ahead.
        spent: the period's spend so far.
        actual: the whole period's spend, as it came.
        limit: the budget of the question whether it is exceeded: as much as the 30 days before the period.
    """

    series: Integers
    day: Integers
    history: Floats
    weekday: Integers
    spent: Floats
    actual: Floats
    limit: Floats


def public_series() -> dict[str, dict[date, float | None]]:
    """The daily series that come with the package; docs/forecast.md says what they are and where they are from."""
    found: dict[str, dict[date, float | None]] = {}
    with gzip.open(PUBLIC, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            spend = float(row["spend"]) if row["spend"] else None
            found.setdefault(row["series"], {})[date.fromisoformat(row["day"])] = spend
    return found


def backtest(series: Mapping[str, Mapping[date, float | None]], days: Sequence[int] = DAYS) -> list[dict[str, Any]]:
    """Rolling-origin evaluation: periods of 30 days that start every third day, forecast on some of their days.

    Args:
        series: for each name the daily spend; None, or a day left out, is not known. A period with such a day is not
            judged.
        days: after how many days of a period a forecast is made.

    Returns:
        One row per class x day x method: `class` (``all``, or how even a series mostly is), `day`, `method`,
        `forecasts`, `wape` (absolute errors / what came, each series scaled to its mean), `bias` (above 0: too high),
        `coverage_80` (the share of what came that lies in the 80 % interval), `brier` (of the probability to exceed
        what the 30 days before cost); NULL where a method says no such thing.

    Raises:
        UsageError: no series is long enough, or a day does not lie in the period.
    """
    if not days or not all(1 <= day < PERIOD for day in days):
        msg = f"days must lie in 1 to {PERIOD - 1}, not {', '.join(map(str, days)) or 'none'}"
        raise UsageError(msg)
    named = [dict(each) for each in series.values()]
    rows = [row for place, daily in enumerate(named) for row in _origins(place, daily, days)]
    if not rows:
        longest = max((len(daily) for daily in named), default=0)
        msg = (
            f"no series is long enough: {FEWEST} days of history and a period of {PERIOD} days without gaps are "
            f"needed, the longest has {longest} days"
        )
        raise UsageError(msg)
    made = Origins(*(np.array(column) for column in zip(*rows, strict=True)))
    means = [[value for value in daily.values() if value is not None] for daily in named]
    scale = np.array([(np.mean(known) if known else 0.0) or 1.0 for known in means])
    return list(_judged(made, scale[made.series]))


def _origins(place: int, daily: Mapping[date, float | None], days: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """The moments of one series, in the order of the fields of Origins."""
    if not daily:
        return
    first = min(daily)
    found = [daily.get(first + timedelta(days=at)) for at in range((max(daily) - first).days + 1)]
    whole = np.array([np.nan if value is None else value for value in found])
    padded = np.r_[np.full(HISTORY, np.nan), whole]
    for start in range(0, len(whole) - PERIOD + 1, STEP):
        period = whole[start : start + PERIOD]
        before = whole[max(start - PERIOD, 0) : start]
        if not np.isfinite(period).all() or not period.sum():
            continue
        for day in days:
            at = start + day
            history = padded[at : at + HISTORY]
            if np.isfinite(history).sum() >= FEWEST:
                limit = np.nanmean(before) * PERIOD if np.isfinite(before).any() else np.nan
                weekday = (first + timedelta(days=at)).weekday()
                yield place, day, history, weekday, period[:day].sum(), period.sum(), limit


def _judged(made: Origins, scale: Floats) -> Iterator[dict[str, Any]]:
    """Every method's errors, by class and day."""
    length = PERIOD - int(made.day.min())
    counted = (np.arange(length) < (PERIOD - made.day)[:, None]).astype(float)
    found = level(made.history, made.weekday)
    ours = outlook(found, made.weekday, counted, made.spent, made.limit)
    usual = np.array([np.nanmedian(found.spread[made.series == each]) for each in range(made.series.max() + 1)])
    bursts = calibration().burst(usual)[made.series]
    methods = {OURS: ours.ends[:, 2], **_rivals(made, counted)}
    covered = (made.actual >= ours.ends[:, 1]) & (made.actual <= ours.ends[:, 3])
    came = made.actual > made.limit
    for burst in ("all", *BURSTS):
        for day in sorted(set(made.day.tolist())):
            mine = (made.day == day) & ((bursts == BURSTS.index(burst)) if burst != "all" else True)
            if not mine.any():
                continue
            asked = mine & np.isfinite(made.limit)
            for method, ends in methods.items():
                error, actual = ((ends - made.actual) / scale)[mine], (made.actual / scale)[mine]
                said = ours.exceeds if method == OURS else (ends > made.limit).astype(float)
                yield {
                    "class": burst, "day": day, "method": method, "forecasts": int(mine.sum()),
                    "wape": float(np.abs(error).sum() / actual.sum()), "bias": float(error.sum() / actual.sum()),
                    "coverage_80": float(covered[mine].mean()) if method == OURS else None,
                    "brier": float(((said - came)[asked] ** 2).mean()) if asked.any() else None,
                }  # fmt: skip


def _rivals(made: Origins, counted: Floats) -> dict[str, Floats]:
    """What simple arithmetic says of the same periods, and AutoETS where statsforecast is installed."""
    left, week = counted.sum(1), made.history[:, -WEEK:]
    mean = np.nanmean(made.history[:, -4 * WEEK :], axis=1)
    last = np.where(np.isfinite(week), week, mean[:, None])
    again = np.take(last, np.arange(counted.shape[1]) % WEEK, axis=1)
    found = {
        "run_rate": made.spent / made.day * PERIOD,
        "last_7_days": made.spent + last.mean(1) * left,
        "seasonal_naive": made.spent + (again * counted).sum(1),
    }
    if find_spec("statsforecast"):
        found["auto_ets"] = made.spent + _auto_ets(made.history, left)
    return found


def _auto_ets(history: Floats, left: Floats) -> Floats:
    """The remaining sum by exponential smoothing, chosen anew for each moment."""
    from statsforecast.models import AutoETS  # noqa: PLC0415  # optional, and heavy

    sums = []
    for row, days in zip(history, left.astype(int), strict=True):
        known = row[np.isfinite(row)]
        sums.append(AutoETS(season_length=WEEK).forecast(y=known, h=int(days))["mean"].sum())
    return np.asarray(np.maximum(sums, 0.0), float)
