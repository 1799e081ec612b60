"""The level of daily spend: an average day, weekday weights and a spread, for many series at once.

A history is a matrix with a row per series and a column per complete day, the newest last. NaN is a day that is not
known, which is not zero: it lies before the series begins, or its requests have no known price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Integers: TypeAlias = "NDArray[np.int64]"

WEEK = 7  # days
HALF_LIVES = np.array([1.5, 4.0, 10.0, 28.0])  # days
MIN_PROFILE_DAYS = 10  # days of history from which on weekdays have weights
PRIOR_WEEKS = 2.0  # weeks of equal weekdays that are added to each series
MAX_DAY_RATIO = 4.0  # of a day to the mean of its week, in the weekday weights
MIN_CAP_DAYS, MAX_CAP_SPREAD, CAP_RATIO, CAP_HISTORY_DAYS = 15, 0.5, 3.0, 28  # when the newest day is capped
MIN_TRUST_DAYS, TRUST_DAYS = 5, 10.0  # forecasts scored before errors count at all, and before they count half
MIN_SUM_DAYS = 3  # days of a sum that is scored, and of history before it
SPREAD_DAYS, WIDE_SPREAD_DAYS = 42, 90
PRIOR_SPREAD, PRIOR_SPREAD_DAYS = 0.6, 4.0
_MIN_ERROR_SHARE = 0.02  # of the mean error of the averages
_TINY = 1e-12


@dataclass(frozen=True)
class Level:
    """The expected next days of each series.

    Args:
        daily: USD of an average day.
        weights: series x weekday (Monday first): its ratio to the average day; their mean is 1.
        spread: the standard deviation of a day of the last 42 around its forecast, as a share of `daily`; NaN if
            `daily` is 0.
        wide_spread: the larger of `spread` and that of the last 90 days, since volatile periods come and go.
        known: how many complete days of the history are known.
    """

    daily: Floats
    weights: Floats
    spread: Floats
    wide_spread: Floats
    known: Integers

    def expected_days(self, weekday: Integers, length: int) -> Floats:
        """Series x day in USD: the expected next days; `weekday` is that of each series' first one."""
        days = (np.asarray(weekday)[:, None] + np.arange(length)) % WEEK
        return self.daily[:, None] * np.take_along_axis(self.weights, days, axis=1)


def estimate_level(history: Floats, weekday: Integers) -> Level:
    """Estimate the level, the weekday weights and the spread of each series.

    The level is a mix of four exponential averages, weighted by their errors on seven-day sums of the same history.

    Args:
        history: series x complete day in USD, the newest last; negative days count as 0.
        weekday: the weekday of the day after the newest, 0 is Monday.
    """
    known = np.isfinite(history)
    spend = _cap_newest_day(np.where(known, np.maximum(history, 0.0), 0.0), known)
    weekdays = (np.asarray(weekday)[:, None] + np.arange(-history.shape[1], 0)) % WEEK
    weights = weekday_weights(spend, known, weekdays)
    expected = np.take_along_axis(weights, weekdays, axis=1) * known
    averages, errors, count, residual = _run_averages(spend, known, expected)
    mean = errors / np.maximum(count, 1)[:, None]
    accuracy = np.maximum(mean, _MIN_ERROR_SHARE * mean.mean(1, keepdims=True) + _TINY) ** -4.0
    accuracy /= accuracy.sum(1, keepdims=True)
    trust = np.where(count >= MIN_TRUST_DAYS, count / (count + TRUST_DAYS), 0.0)[:, None]
    daily = ((trust * accuracy + (1 - trust) / len(HALF_LIVES)) * averages).sum(1)
    spread = _compute_spread(residual[:, -SPREAD_DAYS:], daily)
    wide_spread = np.maximum(spread, _compute_spread(residual, daily))
    return Level(daily, weights, spread, wide_spread, known.sum(1))


def _compute_spread(residual: Floats, daily: Floats) -> Floats:
    """The standard deviation of a day as a share of the level, shrunk towards a prior."""
    squares = np.nansum(residual**2, axis=1) + PRIOR_SPREAD_DAYS * (PRIOR_SPREAD * daily) ** 2
    deviation = np.sqrt(squares / (np.isfinite(residual).sum(1) + PRIOR_SPREAD_DAYS))
    return np.asarray(np.divide(deviation, daily, out=np.full_like(daily, np.nan), where=daily > 0))


def weekday_weights(spend: Floats, known: NDArray[np.bool_], weekdays: Integers) -> Floats:
    """Series x weekday: the mean ratio of a weekday to the week around it, shrunk towards 1 by two weeks.

    Args:
        spend: series x day in USD, 0 if not known.
        known: series x day: whether it is known.
        weekdays: series x day: the weekday, 0 is Monday.
    """
    week_mean = _sum_week_around(spend) / np.maximum(_sum_week_around(known.astype(float)), 1)
    counted = known & (week_mean > 0)
    ratio = np.minimum(np.divide(spend, week_mean, out=np.zeros_like(spend), where=counted), MAX_DAY_RATIO)
    weights = np.ones((len(spend), WEEK))
    for weekday in range(WEEK):
        selected = counted & (weekdays == weekday)
        weights[:, weekday] = ((ratio * selected).sum(1) + PRIOR_WEEKS) / (selected.sum(1) + PRIOR_WEEKS)
    weights /= weights.mean(1, keepdims=True)
    weights[_history_length(known) < MIN_PROFILE_DAYS] = 1.0
    return weights


def _history_length(known: NDArray[np.bool_]) -> Integers:
    """Days from each series' first known one to its newest column."""
    if not known.shape[1]:
        return np.zeros(len(known), np.int64)
    return np.where(known.any(1), known.shape[1] - known.argmax(1), 0)


def _sum_week_around(values: Floats) -> Floats:
    """The sum of each day and the three days on either side of it."""
    half = WEEK // 2
    total = np.cumsum(np.pad(values, ((0, 0), (half + 1, half))), axis=1)
    return np.asarray(total[:, WEEK:] - total[:, :-WEEK])


def _cap_newest_day(spend: Floats, known: NDArray[np.bool_]) -> Floats:
    """Cap the newest day at the maximum of a steady history if it is far above it, until a second day confirms it."""
    if spend.shape[1] < MIN_CAP_DAYS:
        return spend
    earlier = np.where(known, spend, np.nan)[:, :-1]
    for row in np.where(known[:, -1] & (known.sum(1) >= MIN_CAP_DAYS))[0]:
        recent = earlier[row][np.isfinite(earlier[row])][-CAP_HISTORY_DAYS:]
        maximum = recent.max()
        if recent.std() < MAX_CAP_SPREAD * recent.mean() and spend[row, -1] > CAP_RATIO * maximum:
            spend[row, -1] = maximum
    return spend


def _run_averages(spend: Floats, known: NDArray[np.bool_], expected: Floats) -> tuple[Floats, Floats, Integers, Floats]:
    """Run the exponential averages over the history, day by day.

    Returns:
        Series x half-life: the averages at the end; series x half-life: the sums of their past errors; how many errors
        were summed; series x day: residuals of the last 90 days, NaN before.
    """
    series, days = spend.shape
    decay, week_decay = 0.5 ** (1 / HALF_LIVES), 0.5 ** (1 / WEEK)
    sums, norms, errors = (np.zeros((series, len(HALF_LIVES))) for _ in range(3))
    week_sum, week_norm, count = np.zeros(series), np.zeros(series), np.zeros(series, np.int64)
    residual = np.full((series, days), np.nan)
    spent_before, weight_before = (np.cumsum(np.pad(each, ((0, 0), (1, 0))), axis=1) for each in (spend, expected))
    first = days - _history_length(known)
    for day in range(days):
        end = min(day + WEEK, days)
        if end - day >= MIN_SUM_DAYS:
            scored = day - first >= MIN_SUM_DAYS
            forecast = sums / np.maximum(norms, _TINY) * (weight_before[:, end] - weight_before[:, day])[:, None]
            errors += np.abs(forecast - (spent_before[:, end] - spent_before[:, day])[:, None]) * scored[:, None]
            count += scored
        is_known = known[:, day]
        if day >= days - WIDE_SPREAD_DAYS:
            has_forecast = is_known & (week_norm > 0)
            guess = np.divide(week_sum, week_norm, out=np.zeros(series), where=has_forecast) * expected[:, day]
            residual[has_forecast, day] = (spend[:, day] - guess)[has_forecast]
        fade, week_fade = np.where(is_known[:, None], decay, 1.0), np.where(is_known, week_decay, 1.0)
        sums, norms = sums * fade + spend[:, [day]] * is_known[:, None], norms * fade + expected[:, [day]]
        week_sum, week_norm = week_sum * week_fade + spend[:, day] * is_known, week_norm * week_fade + expected[:, day]
    return sums / np.maximum(norms, _TINY), errors, count, residual
