"""What one more day costs: a level, a weekday profile and a spread for each of many series at once.

A history is a matrix: one row a series, one column a complete day, the newest last. NaN is a day that is not known,
which is not a zero: before a series begins, or where requests had no price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Integers: TypeAlias = "NDArray[np.int64]"

WEEK = 7
HALF_LIVES = np.array([1.5, 4.0, 10.0, 28.0])  # days
PROFILE_FROM = 10  # days of history before weekdays are told apart
PSEUDO_WEEKS = 2.0  # how many weeks without a profile a series is taken to have had
OUTLYING = 4.0  # a day counts at most this multiple of its week's mean in the profile
CAPPED_FROM, STEADY, LEAP, RECENT = 15, 0.5, 3.0, 28  # when, against what and how far back a newest day is capped
TRUST = 10.0  # past errors count as much as equal weights after so many days
SPREAD_DAYS, WIDE_DAYS = 42, 90  # how far back a spread looks: of late, and past a quiet spell
SPREAD_PRIOR, SPREAD_WEIGHT = 0.6, 4.0
_TINY = 1e-12


@dataclass(frozen=True)
class Level:
    """What is known about each series' next days.

    Args:
        daily: spend of an average day.
        weights: series x weekday (Monday first): that weekday against the average day; their mean is 1.
        spread: standard deviation of one day of the last 42 around its forecast, as a share of `daily`; NaN where
            `daily` is 0.
        wide: the larger of that and the one of the last 90 days. Unrest comes in spells: an interval that looks back
            42 days takes a quiet one for the rule.
        known: complete days of the history that are known.
    """

    daily: Floats
    weights: Floats
    spread: Floats
    wide: Floats
    known: Integers

    def days(self, weekday: Integers, length: int) -> Floats:
        """Series x day: the spend of the next days; `weekday` is that of each series' first one."""
        place = (np.asarray(weekday)[:, None] + np.arange(length)) % WEEK
        return self.daily[:, None] * np.take_along_axis(self.weights, place, axis=1)


def level(history: Floats, weekday: Integers) -> Level:
    """The level, profile and spread of each series.

    The level is a mix of four memories, each weighted by how well it foresaw seven-day sums in this very history.

    Args:
        history: series x complete day, the newest last; negative days count as 0.
        weekday: the weekday of the day after the newest, 0 is Monday.
    """
    known = np.isfinite(history)
    spend = _capped(np.where(known, np.maximum(history, 0.0), 0.0), known)
    place = (np.asarray(weekday)[:, None] + np.arange(-history.shape[1], 0)) % WEEK
    weights = profile(spend, known, place)
    expected = np.take_along_axis(weights, place, axis=1) * known
    memories, errors, judged, residual = _memories(spend, known, expected)
    mean = errors / np.maximum(judged, 1)[:, None]
    power = np.maximum(mean, 0.02 * mean.mean(1, keepdims=True) + _TINY) ** -4.0
    power /= power.sum(1, keepdims=True)
    trust = np.where(judged >= 5, judged / (judged + TRUST), 0.0)[:, None]  # noqa: PLR2004  # fewer judge nothing
    daily = ((trust * power + (1 - trust) / len(HALF_LIVES)) * memories).sum(1)
    spread = _spread(residual[:, -SPREAD_DAYS:], daily)
    return Level(daily, weights, spread, np.maximum(spread, _spread(residual, daily)), known.sum(1))


def _spread(residual: Floats, daily: Floats) -> Floats:
    """The deviation of a day, as a share of the level; few days are drawn towards a prior."""
    squares = np.nansum(residual**2, axis=1) + SPREAD_WEIGHT * (SPREAD_PRIOR * daily) ** 2
    deviation = np.sqrt(squares / (np.isfinite(residual).sum(1) + SPREAD_WEIGHT))
    return np.asarray(np.divide(deviation, daily, out=np.full_like(daily, np.nan), where=daily > 0))


def profile(spend: Floats, known: NDArray[np.bool_], place: Integers) -> Floats:
    """Series x weekday: how a weekday compares with the week around it, drawn towards 1 by two pseudo-weeks."""
    week = _centred(spend) / np.maximum(_centred(known.astype(float)), 1)
    counted = known & (week > 0)
    ratio = np.minimum(np.divide(spend, week, out=np.zeros_like(spend), where=counted), OUTLYING)
    found = np.ones((len(spend), WEEK))
    for day in range(WEEK):
        mine = counted & (place == day)
        found[:, day] = ((ratio * mine).sum(1) + PSEUDO_WEEKS) / (mine.sum(1) + PSEUDO_WEEKS)
    found /= found.mean(1, keepdims=True)
    found[_age(known) < PROFILE_FROM] = 1.0
    return found


def _age(known: NDArray[np.bool_]) -> Integers:
    """Days from each series' first known one to its newest column."""
    if not known.shape[1]:
        return np.zeros(len(known), np.int64)
    return np.where(known.any(1), known.shape[1] - known.argmax(1), 0)


def _centred(values: Floats) -> Floats:
    """The sum of each day and the three on either side of it."""
    half = WEEK // 2
    total = np.cumsum(np.pad(values, ((0, 0), (half + 1, half))), axis=1)
    return np.asarray(total[:, WEEK:] - total[:, :-WEEK])


def _capped(spend: Floats, known: NDArray[np.bool_]) -> Floats:
    """One unconfirmed newest day, far above a steady history, is held at that history's maximum."""
    if spend.shape[1] < CAPPED_FROM:
        return spend
    before = np.where(known, spend, np.nan)[:, :-1]
    newest_known = np.where(known[:, -1] & (known.sum(1) >= CAPPED_FROM))[0]
    for row in newest_known:
        recent = before[row][np.isfinite(before[row])][-RECENT:]
        top = recent.max()
        if recent.std() < STEADY * recent.mean() and spend[row, -1] > LEAP * top:
            spend[row, -1] = top
    return spend


def _memories(spend: Floats, known: NDArray[np.bool_], expected: Floats) -> tuple[Floats, Floats, Integers, Floats]:
    """Day by day: the four levels at the end, their summed past errors, how many were judged, and day residuals.

    The residuals are those of the last 90 days, NaN before.
    """
    series, days = spend.shape
    keep, keep_week = 0.5 ** (1 / HALF_LIVES), 0.5 ** (1 / WEEK)
    above, below, errors = (np.zeros((series, len(HALF_LIVES))) for _ in range(3))
    short, weight, judged = np.zeros(series), np.zeros(series), np.zeros(series, np.int64)
    residual = np.full((series, days), np.nan)
    paid, due = (np.cumsum(np.pad(each, ((0, 0), (1, 0))), axis=1) for each in (spend, expected))
    first = days - _age(known)
    for day in range(days):
        ahead = min(WEEK, days - day)
        if ahead >= 3:  # noqa: PLR2004  # fewer days say little about a week
            old = day - first >= 3  # noqa: PLR2004
            foreseen = above / np.maximum(below, _TINY) * (due[:, day + ahead] - due[:, day])[:, None]
            errors += np.abs(foreseen - (paid[:, day + ahead] - paid[:, day])[:, None]) * old[:, None]
            judged += old
        here = known[:, day]
        if day >= days - WIDE_DAYS:
            sure = here & (weight > 0)
            guess = np.divide(short, weight, out=np.zeros(series), where=sure) * expected[:, day]
            residual[sure, day] = (spend[:, day] - guess)[sure]
        fade, fade_week = np.where(here[:, None], keep, 1.0), np.where(here, keep_week, 1.0)
        above, below = above * fade + spend[:, [day]] * here[:, None], below * fade + expected[:, [day]]
        short, weight = short * fade_week + spend[:, day] * here, weight * fade_week + expected[:, day]
    return above / np.maximum(below, _TINY), errors, judged, residual
