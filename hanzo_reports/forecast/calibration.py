"""The calibration of intervals: how far sums of daily spend have differed from their forecasts.

calibration.json has quantiles of the log ratio of actual to forecast sums over a scale that grows with the spread of a
day, learned on public series by split conformal prediction; docs/forecast.md names the series.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hanzo_reports.forecast.level import Floats, Integers

CALIBRATION_FILE = Path(__file__).parent / "data" / "calibration.json"
BURST_CLASSES = ("steady", "uneven", "bursty")  # a day's recent spread below 0.5 of the level, below 1, from 1 on
MAX_RATIO = 15.0  # of the remaining sum to its forecast
MIN_KNOWN_DAYS, SPARSE_FACTOR = 10, 1.3  # with fewer known days the scale is larger by this factor
_SPREAD_OFFSET = 0.03  # a spread of 0 has a logarithm


@dataclass(frozen=True)
class Calibration:
    """The quantiles of actual sums relative to their forecasts.

    Args:
        base: the logarithm of the scale is `base` + `slope` x ln(spread + 0.03).
        slope: see `base`.
        max_scale: the largest scale.
        floor: the share of the forecast sum that is added to both sides of the ratio, so that a sum of 0 has a
            logarithm.
        taus: the probabilities, ascending.
        quantiles: burst class x tau: quantiles of the log ratio over the scale; that of the median is 0.
        edges: the spreads between the burst classes.
    """

    base: float
    slope: float
    max_scale: float
    floor: float
    taus: Floats
    quantiles: Floats
    edges: Floats

    def classify(self, spread: Floats) -> Integers:
        """The burst class of each series: an index into BURST_CLASSES."""
        return np.asarray(np.searchsorted(self.edges, spread), np.int64)

    def remaining(self, expected: Floats, spread: Floats, known: Integers) -> Floats:
        """Quantiles of the remaining sum: series x tau, NaN without a spread.

        Args:
            expected: the forecast of each series' remaining sum.
            spread: the standard deviation of a day as a share of the level; NaN: not known.
            known: how many days of each history are known.
        """
        scale = np.minimum(self.max_scale, np.exp(self.base + self.slope * np.log(spread + _SPREAD_OFFSET)))
        scale = scale * np.where(known < MIN_KNOWN_DAYS, SPARSE_FACTOR, 1.0)
        ratio = np.exp(scale[:, None] * self.quantiles[self.classify(spread)]) * (1 + self.floor) - self.floor
        return np.asarray(np.clip(ratio, 0, MAX_RATIO) * expected[:, None])

    def interpolate(self, quantiles: Floats, probabilities: Floats) -> Floats:
        """Series x probability: linear interpolation between quantiles at `taus`; constant beyond the outer ones."""
        index = np.clip(np.searchsorted(self.taus, probabilities) - 1, 0, len(self.taus) - 2)
        weight = np.clip((probabilities - self.taus[index]) / (self.taus[index + 1] - self.taus[index]), 0, 1)
        return np.asarray(quantiles[:, index] * (1 - weight) + quantiles[:, index + 1] * weight)


@cache
def load_calibration() -> Calibration:
    """Load the calibration that the package ships."""
    values = json.loads(CALIBRATION_FILE.read_text(encoding="utf-8"))
    taus, quantiles, edges = (np.array(values[name], float) for name in ("taus", "quantiles", "edges"))
    return Calibration(values["base"], values["slope"], values["most"], values["floor"], taus, quantiles, edges)
