"""From a level to an end: the remaining sum of a period with its quantiles, and daily paths that end there.

The interval is one of the remaining SUM (a sum of daily quantiles would be far too wide). Its shape was learned once,
on public series, by split conformal prediction: calibration.json holds the quantiles of the log ratio of what came to
what was foreseen, over a scale that grows with the spread of one day; docs/forecast.md says from what.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hanzo_reports.forecast.level import Floats, Integers, Level

CALIBRATION = Path(__file__).parent / "data" / "calibration.json"
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
BURSTS = ("steady", "uneven", "bursty")  # a day's spread, of late, below 0.5 of the level, below 1, from 1 on
PATHS, ENDS = 500, 1000
CHUNK = 100  # series whose paths are held at once
MOST = 15.0  # an end is at most this multiple of what was foreseen
DRIFT = 0.10  # how much of a day's spread the level itself moves from day to day
WIDEST = 1.5  # a day's spread in the paths
SPARSE, SPARSE_WIDER = 10, 1.3  # below so many known days the scale is this much larger


@dataclass(frozen=True)
class Calibration:
    """The quantiles of what came against what was foreseen.

    Args:
        base: the logarithm of the scale is `base` + `slope` x ln(spread + 0.03).
        slope: see `base`.
        most: the largest scale.
        floor: the share of the foreseen sum added to both sides of the ratio, so that an end of 0 has a logarithm.
        taus: the probabilities, ascending.
        quantiles: burst class x tau: quantiles of the log ratio over the scale; that of the median is 0.
        edges: the spreads that part the burst classes.
    """

    base: float
    slope: float
    most: float
    floor: float
    taus: Floats
    quantiles: Floats
    edges: Floats

    def burst(self, spread: Floats) -> Integers:
        """The class of each series: a place in BURSTS."""
        return np.asarray(np.searchsorted(self.edges, spread), np.int64)

    def remaining(self, foreseen: Floats, spread: Floats, known: Integers) -> Floats:
        """Series x tau: quantiles of the remaining sum; NaN where there is no spread."""
        scale = np.minimum(self.most, np.exp(self.base + self.slope * np.log(spread + 0.03)))
        scale = scale * np.where(known < SPARSE, SPARSE_WIDER, 1.0)
        ratio = np.exp(scale[:, None] * self.quantiles[self.burst(spread)]) * (1 + self.floor) - self.floor
        return np.asarray(np.clip(ratio, 0, MOST) * foreseen[:, None])


@cache
def calibration() -> Calibration:
    """The shipped calibration."""
    held = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    taus, quantiles, edges = (np.array(held[name], float) for name in ("taus", "quantiles", "edges"))
    return Calibration(held["base"], held["slope"], held["most"], held["floor"], taus, quantiles, edges)


@dataclass(frozen=True)
class Outlook:
    """How each series' period may end; NaN where nothing can be said.

    Args:
        ends: series x LEVELS: the whole period's spend.
        exceeds: the share of ends above the limit.
        reached: series x (10 %, 50 %, 90 %): the place of the day in which that share of paths is above the limit;
            the number of days where it is not this period.
        paths: series x (p10, p50, p90) x day: spend since the period's start, at the day's end.
        burst: a place in BURSTS.
    """

    ends: Floats
    exceeds: Floats
    reached: Integers
    paths: Floats
    burst: Integers


def outlook(  # noqa: PLR0913, PLR0917  # what is known of each series
    found: Level, weekday: Integers, counted: Floats, spent: Floats, limit: Floats, fixed: Floats | None = None
) -> Outlook:
    """How the period of each series may end.

    Args:
        found: the level of each series.
        weekday: the weekday of each series' first remaining day, 0 is Monday.
        counted: series x day: the share of each remaining day that is still to come and in the period, 0 to 1.
        spent: what is spent already.
        limit: the budget; NaN for none.
        fixed: series x day: what is known to be charged from now to the end of that day; None: nothing.
    """
    fixed = np.zeros_like(counted) if fixed is None else fixed
    days = found.days(weekday, counted.shape[1]) * counted
    model = calibration()
    sums = model.remaining(days.sum(1), found.wide, found.known)
    known = spent[:, None] + fixed
    left = _at(sums, np.array(LEVELS), model.taus)
    ends = left + known[:, -1:]
    drawn = _at(sums, (np.arange(ENDS) + 0.5) / ENDS, model.taus) + known[:, -1:]
    exceeds = np.where(np.isnan(limit) | np.isnan(ends[:, 2]), np.nan, (drawn > limit[:, None]).mean(1))
    series, length = counted.shape
    reached, paths = np.full((series, 3), length), np.full((series, 3, length), np.nan)
    for first in range(0, series, CHUNK):
        rows = slice(first, first + CHUNK)
        walks = _walks(days[rows], found.wide[rows], _at(sums[rows], (np.arange(PATHS) + 0.5) / PATHS, model.taus))
        over = walks + known[rows, None, :] > limit[rows, None, None]
        when = np.sort(np.where(over.any(2), over.argmax(2), length), axis=1)
        reached[rows] = when[:, [int(share * PATHS) - 1 for share in (0.1, 0.5, 0.9)]]
        between = np.quantile(walks, (0.1, 0.5, 0.9), axis=1).transpose(1, 0, 2)
        paths[rows] = np.minimum(between, left[rows, 1:4, None])
    paths[:, :, -1] = left[:, 1:4]  # the table's own quantiles, not those of the paths
    paths += known[:, None, :]
    return Outlook(ends, exceeds, reached, paths, model.burst(found.spread))


def _walks(days: Floats, spread: Floats, sums: Floats) -> Floats:
    """Series x path x day: running sums of noisy days around a drifting level, the k-th smallest with the k-th sum."""
    wide = np.minimum(np.nan_to_num(spread), WIDEST)[:, None, None]
    sigma = np.sqrt(np.log1p(wide**2))
    noise, drift = _noise(days.shape[1])
    steps = days[:, None, :] * np.exp(sigma * noise - sigma**2 / 2 + DRIFT * wide * drift)
    walks = np.cumsum(steps, axis=2)
    order = np.argsort(walks[:, :, -1:], axis=1)
    walks = np.take_along_axis(walks, order, axis=1)
    end = walks[:, :, -1]
    walks *= np.divide(sums, end, out=np.zeros_like(end), where=end > 0)[:, :, None]
    return np.asarray(walks)


@cache
def _noise(length: int) -> tuple[Floats, Floats]:
    """Path x day: one draw of standard normals and of random walks, the same for all series and all calls."""
    chance = np.random.default_rng(0)
    return chance.standard_normal((PATHS, length)), np.cumsum(chance.standard_normal((PATHS, length)), axis=1)


def _at(sums: Floats, shares: Floats, taus: Floats) -> Floats:
    """Series x share: quantiles between those of the table, by linear interpolation; its ends beyond them."""
    place = np.clip(np.searchsorted(taus, shares) - 1, 0, len(taus) - 2)
    part = np.clip((shares - taus[place]) / (taus[place + 1] - taus[place]), 0, 1)
    return np.asarray(sums[:, place] * (1 - part) + sums[:, place + 1] * part)
