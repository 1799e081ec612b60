"""The backtest: forecasts made at many past days, compared with the actual spend and with simpler methods."""

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
from hanzo_reports.forecast.calibration import BURST_CLASSES, load_calibration
from hanzo_reports.forecast.level import WEEK, estimate_level
from hanzo_reports.forecast.outlook import compute_outlook
from hanzo_reports.forecast.series import HISTORY_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hanzo_reports.forecast.level import Floats, Integers

PUBLIC_SERIES_FILE = Path(__file__).parent / "data" / "public_daily.csv.gz"
PERIOD_DAYS = 30
STEP_DAYS = 3  # from the start of one period to that of the next
MIN_HISTORY_DAYS = 21
DAYS = (5, 10, 15, 20)
METHOD = "forecast"  # the name of our own method
SHIPPED_COVERAGE = {"steady": 0.82, "uneven": 0.83, "bursty": 0.88}  # public series, mean of DAYS; a test measures it


@dataclass(frozen=True)
class Origins:
    """Every instant at which a forecast is made, one row each.

    Args:
        series: the index of its series.
        day: complete days of the period.
        history: origin x day in USD: what was known, the newest last.
        weekday: the weekday of the first remaining day, 0 is Monday.
        spent: the period's spend so far.
        actual: the spend of the whole period.
        limit: the limit of the question whether it is exceeded: the spend of the 30 days before the period; NaN: not
            known.
    """

    series: Integers
    day: Integers
    history: Floats
    weekday: Integers
    spent: Floats
    actual: Floats
    limit: Floats


def load_public_series() -> dict[str, dict[date, float | None]]:
    """Load the daily series that the package ships; docs/forecast.md names their sources."""
    series: dict[str, dict[date, float | None]] = {}
    with gzip.open(PUBLIC_SERIES_FILE, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            spend = float(row["spend"]) if row["spend"] else None
            series.setdefault(row["series"], {})[date.fromisoformat(row["day"])] = spend
    return series


def backtest(series: Mapping[str, Mapping[date, float | None]], days: Sequence[int] = DAYS) -> list[dict[str, Any]]:
    """Evaluate forecasts with a rolling origin: of periods of 30 days that start every third day.

    Args:
        series: the daily spend of each name; None, or a day left out: not known. A period with such a day is not
            evaluated.
        days: the days of a period after which a forecast is made.

    Returns:
        One row per class x day x method: `class` (``all``, or the usual class of the series), `day`, `method`,
        `forecasts`, `wape` (the sum of absolute errors / that of actual spend, each series scaled to its mean), `bias`
        (above 0: too high), `coverage_80` (the share of actual totals in the 80% interval), `brier` (of the chance to
        exceed the spend of the previous 30 days); NULL if a method has no such value.

    Raises:
        UsageError: no series is long enough, or a day does not lie in the period.
    """
    if not days or not all(1 <= day < PERIOD_DAYS for day in days):
        msg = f"days must be from 1 to {PERIOD_DAYS - 1}, not {', '.join(map(str, days)) or 'none'}"
        raise UsageError(msg)
    every = [dict(daily) for daily in series.values()]
    rows = [row for index, daily in enumerate(every) for row in _list_origins(index, daily, days)]
    if not rows:
        longest = max((len(daily) for daily in every), default=0)
        msg = (
            f"no series is long enough: a backtest needs {MIN_HISTORY_DAYS} days of history and a period of "
            f"{PERIOD_DAYS} days without gaps, and the longest series has {longest} days"
        )
        raise UsageError(msg)
    origins = Origins(*(np.array(column) for column in zip(*rows, strict=True)))
    known = [[value for value in daily.values() if value is not None] for daily in every]
    scale = np.array([(np.mean(values) if values else 0.0) or 1.0 for values in known])
    return list(_evaluate(origins, scale[origins.series]))


def _list_origins(index: int, daily: Mapping[date, float | None], days: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """The origins of one series, in the order of the fields of Origins."""
    if not daily:
        return
    first = min(daily)
    values = [daily.get(first + timedelta(days=offset)) for offset in range((max(daily) - first).days + 1)]
    spend = np.array([np.nan if value is None else value for value in values])
    padded = np.r_[np.full(HISTORY_DAYS, np.nan), spend]
    for start in range(0, len(spend) - PERIOD_DAYS + 1, STEP_DAYS):
        period = spend[start : start + PERIOD_DAYS]
        previous = spend[max(start - PERIOD_DAYS, 0) : start]
        if not np.isfinite(period).all() or not period.sum():
            continue
        for day in days:
            origin = start + day
            history = padded[origin : origin + HISTORY_DAYS]
            if np.isfinite(history).sum() >= MIN_HISTORY_DAYS:
                limit = np.nanmean(previous) * PERIOD_DAYS if np.isfinite(previous).any() else np.nan
                weekday = (first + timedelta(days=origin)).weekday()
                yield index, day, history, weekday, period[:day].sum(), period.sum(), limit


def _evaluate(origins: Origins, scale: Floats) -> Iterator[dict[str, Any]]:
    """The errors of every method, by class and day."""
    length = PERIOD_DAYS - int(origins.day.min())
    weights = (np.arange(length) < (PERIOD_DAYS - origins.day)[:, None]).astype(float)
    level = estimate_level(origins.history, origins.weekday)
    outlook = compute_outlook(level, origins.weekday, weights, origins.spent, origins.limit)
    usual_spread = [np.nanmedian(level.spread[origins.series == index]) for index in range(origins.series.max() + 1)]
    bursts = load_calibration().classify(np.array(usual_spread))[origins.series]
    methods = {METHOD: outlook.totals[:, 2], **_forecast_simply(origins, weights)}
    covered = (origins.actual >= outlook.totals[:, 1]) & (origins.actual <= outlook.totals[:, 3])
    exceeded = origins.actual > origins.limit
    for burst in ("all", *BURST_CLASSES):
        for day in sorted(set(origins.day.tolist())):
            selected = (origins.day == day) & ((bursts == BURST_CLASSES.index(burst)) if burst != "all" else True)
            if not selected.any():
                continue
            with_limit = selected & np.isfinite(origins.limit)
            for method, totals in methods.items():
                error, actual = ((totals - origins.actual) / scale)[selected], (origins.actual / scale)[selected]
                chance = outlook.exceeds if method == METHOD else (totals > origins.limit).astype(float)
                yield {
                    "class": burst, "day": day, "method": method, "forecasts": int(selected.sum()),
                    "wape": float(np.abs(error).sum() / actual.sum()), "bias": float(error.sum() / actual.sum()),
                    "coverage_80": float(covered[selected].mean()) if method == METHOD else None,
                    "brier": float(((chance - exceeded)[with_limit] ** 2).mean()) if with_limit.any() else None,
                }  # fmt: skip


def _forecast_simply(origins: Origins, weights: Floats) -> dict[str, Floats]:
    """The totals by simple arithmetic, and by AutoETS if statsforecast is installed."""
    remaining, week = weights.sum(1), origins.history[:, -WEEK:]
    mean = np.nanmean(origins.history[:, -4 * WEEK :], axis=1)
    last_week = np.where(np.isfinite(week), week, mean[:, None])
    same_weekdays = np.take(last_week, np.arange(weights.shape[1]) % WEEK, axis=1)
    totals = {
        "run_rate": origins.spent / origins.day * PERIOD_DAYS,
        "last_7_days": origins.spent + last_week.mean(1) * remaining,
        "seasonal_naive": origins.spent + (same_weekdays * weights).sum(1),
    }
    if find_spec("statsforecast"):
        totals["auto_ets"] = origins.spent + _sum_auto_ets(origins.history, remaining)
    return totals


def _sum_auto_ets(history: Floats, remaining: Floats) -> Floats:
    """The remaining sum by exponential smoothing, selected anew for each origin."""
    from statsforecast.models import AutoETS  # noqa: PLC0415  # optional, and heavy

    sums = []
    for row, days in zip(history, remaining.astype(int), strict=True):
        known = row[np.isfinite(row)]
        sums.append(AutoETS(season_length=WEEK).forecast(y=known, h=int(days))["mean"].sum())
    return np.asarray(np.maximum(sums, 0.0), float)
