"""How periods may end: quantiles of the total, the chance to exceed a limit, and daily paths to these totals.

The interval is that of the remaining sum. A sum of daily intervals would be far too wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hanzo_reports.forecast.calibration import load_calibration

if TYPE_CHECKING:
    from hanzo_reports.forecast.level import Floats, Integers, Level

PROBABILITIES = (0.025, 0.1, 0.5, 0.9, 0.975)
PATH_PROBABILITIES = (0.1, 0.5, 0.9)
PATH_COUNT, TOTAL_COUNT = 500, 1000
CHUNK_SIZE = 100  # series whose paths are in memory at once
DRIFT = 0.10  # the daily change of the level itself, as a share of a day's spread
MAX_PATH_SPREAD = 1.5


@dataclass(frozen=True)
class Outlook:
    """How each series' period may end; NaN without a forecast.

    Args:
        totals: series x PROBABILITIES: the spend of the whole period.
        exceeds: the share of totals above the limit; NaN without a limit.
        reached: series x (10 %, 50 %, 90 %): the index of the day on which that share of paths is above the limit; the
            number of days if that does not happen in this period.
        paths: series x (p10, p50, p90) x day: spend since the start of the period, at the end of the day.
        burst: an index into BURST_CLASSES.
    """

    totals: Floats
    exceeds: Floats
    reached: Integers
    paths: Floats
    burst: Integers


def compute_outlook(  # noqa: PLR0913, PLR0917  # the columns of a matrix with a row per series
    level: Level, weekday: Integers, weights: Floats, spent: Floats, limit: Floats, charges: Floats | None = None
) -> Outlook:
    """Compute how the period of each series may end.

    Args:
        level: the level of each series.
        weekday: the weekday of each series' first remaining day, 0 is Monday.
        weights: series x day: the share of each remaining day that is in the period and not over, 0 to 1.
        spent: USD of the period so far.
        limit: USD; NaN: no limit.
        charges: series x day: known charges in USD from now to the end of that day; None: none.
    """
    charges = np.zeros_like(weights) if charges is None else charges
    days = level.expected_days(weekday, weights.shape[1]) * weights
    calibration = load_calibration()
    remaining = calibration.remaining(days.sum(1), level.wide_spread, level.known)
    known = spent[:, None] + charges
    remaining_quantiles = calibration.interpolate(remaining, np.array(PROBABILITIES))
    totals = remaining_quantiles + known[:, -1:]
    sample = calibration.interpolate(remaining, _midpoints(TOTAL_COUNT)) + known[:, -1:]
    exceeds = np.where(np.isnan(limit) | np.isnan(totals[:, 2]), np.nan, (sample > limit[:, None]).mean(1))
    series, length = weights.shape
    reached, paths = np.full((series, 3), length), np.full((series, 3, length), np.nan)
    for first in range(0, series, CHUNK_SIZE):
        rows = slice(first, first + CHUNK_SIZE)
        path_totals = calibration.interpolate(remaining[rows], _midpoints(PATH_COUNT))
        walks = _draw_walks(days[rows], level.wide_spread[rows], path_totals)
        over = walks + known[rows, None, :] > limit[rows, None, None]
        first_over = np.sort(np.where(over.any(2), over.argmax(2), length), axis=1)
        reached[rows] = first_over[:, [int(share * PATH_COUNT) - 1 for share in PATH_PROBABILITIES]]
        quantiles = np.quantile(walks, PATH_PROBABILITIES, axis=1).transpose(1, 0, 2)
        paths[rows] = np.minimum(quantiles, remaining_quantiles[rows, 1:4, None])
    paths[:, :, -1] = remaining_quantiles[:, 1:4]  # exactly the quantiles of the totals
    paths += known[:, None, :]
    return Outlook(totals, exceeds, reached, paths, calibration.classify(level.spread))


def _midpoints(count: int) -> Floats:
    """Probabilities in the middle of as many equal parts."""
    return np.asarray((np.arange(count) + 0.5) / count)


def _draw_walks(days: Floats, spread: Floats, totals: Floats) -> Floats:
    """Series x path x day: running sums of noisy days around a drifting level.

    The path with the k-th smallest sum is scaled to the k-th total.
    """
    width = np.minimum(np.nan_to_num(spread), MAX_PATH_SPREAD)[:, None, None]
    sigma = np.sqrt(np.log1p(width**2))
    noise, drift = _draw_noise(days.shape[1])
    steps = days[:, None, :] * np.exp(sigma * noise - sigma**2 / 2 + DRIFT * width * drift)
    walks = np.cumsum(steps, axis=2)
    order = np.argsort(walks[:, :, -1:], axis=1)
    walks = np.take_along_axis(walks, order, axis=1)
    sums = walks[:, :, -1]
    walks *= np.divide(totals, sums, out=np.zeros_like(sums), where=sums > 0)[:, :, None]
    return np.asarray(walks)


@cache
def _draw_noise(length: int) -> tuple[Floats, Floats]:
    """Path x day: one draw of standard normals and of random walks, the same for all series and calls."""
    generator = np.random.default_rng(0)
    normals = generator.standard_normal((PATH_COUNT, length))
    return normals, np.cumsum(generator.standard_normal((PATH_COUNT, length)), axis=1)
