"""Anomalies: days with unusual spend, by how much, and the group that accounts for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.level import estimate_level
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis

    from hanzo_reports.forecast.level import Floats
    from hanzo_reports.forecast.series import Key, SpendPanel
    from hanzo_reports.metrics.arguments import Where

MIN_SCORE = 3.5
MIN_STAKE = Decimal(1)  # USD
MIN_HISTORY_DAYS = 10  # before a day that can be scored
SPREAD_DAYS = 60
MIN_SPREAD_OF_SPEND = 0.01  # of the square root of the day's spend: a constant history has no spread of its own
MIN_SPREAD_OF_DEVIATION = 0.75  # of the standard deviation: the median absolute deviation of a quiet history is near 0
CAUSES = ("model", "api_key", "user", "project", "endpoint", "service")  # in the order of preference
MAX_EXPLAINED = 50
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_ARTICLES = {cause: "an" if cause[0] in "aeo" else "a" for cause in CAUSES}


@dataclass(frozen=True)
class Anomaly:
    """A day on which the spend of a group was unusual.

    Args:
        key: the group.
        day: the local day.
        spent: USD of that day.
        expected: USD by its weekday and the weeks before.
        score: the difference in multiples of the usual spread, on the square root of spend; above 0: more than
            expected.
        why: the group that accounts for most of the difference; empty: not analysed.
    """

    key: Key
    day: date
    spent: Decimal
    expected: Decimal
    score: float
    why: str = ""

    @property
    def stake(self) -> Decimal:
        """USD above the expected spend; below 0: less was spent."""
        return self.spent - self.expected


def find_anomalies(
    panel: SpendPanel, days: int = 30, *, score: float = MIN_SCORE, stake: Decimal = MIN_STAKE
) -> list[Anomaly]:
    """Find the days with unusual spend.

    A day is compared with the forecast from the days before it, on the square root of spend, whose spread is similar
    for small and large amounts. The spread is the median absolute deviation of the last 60 days, at least 0.75 standard
    deviations and at least a hundredth of the day.

    Args:
        panel: the daily spend.
        days: how many complete days to examine.
        score: the smallest score of an anomaly, in multiples of the spread.
        stake: the smallest difference in USD that is reported.

    Returns:
        One anomaly per group and day: the newest first, then the largest difference first.

    Raises:
        UsageError: `days` is below 1, or `score` or `stake` is not above 0.
    """
    if days < 1 or not score > 0 or not stake > 0:
        msg = f"days must be at least 1, and score and stake above 0; got {days}, {score} and {stake}"
        raise UsageError(msg)
    history = panel.history
    residual, expected = _compute_residuals(panel, days)
    anomalies = []
    length = history.shape[1]
    for column in range(max(length - days, 0), length):
        past = residual[:, max(column - SPREAD_DAYS, 0) : column]
        has_history = np.isfinite(past).sum(1) >= MIN_HISTORY_DAYS
        for row in np.flatnonzero(has_history & np.isfinite(residual[:, column])).tolist():
            root = np.sqrt(max(history[row, column], expected[row, column]))
            value = _score(residual[row, column], past[row][np.isfinite(past[row])], root)
            spent, usual = _to_money(history[row, column]), _to_money(expected[row, column])
            if abs(value) >= score and abs(spent - usual) >= stake:
                day = panel.first + timedelta(days=column)
                anomalies.append(Anomaly(panel.keys[row], day, spent, usual, float(value)))
    return sorted(anomalies, key=lambda anomaly: (-anomaly.day.toordinal(), -abs(anomaly.stake), anomaly.key))


def explain_anomalies(
    anomalies: Sequence[Anomaly], events: ibis.Table, by: Sequence[str], timezone: str, where: Where | None = None
) -> list[Anomaly]:
    """Add to each anomaly the group with the largest change since the same weekday of the previous week.

    Args:
        anomalies: those of a panel; the first 50 are explained.
        events: an Ibis table with the columns of events.
        by: the dimensions of their keys.
        timezone: the IANA zone of their days.
        where: the filter of the panel.
    """
    filters = dict(where or {})
    explained = [
        replace(anomaly, why=_explain(anomaly, events, by, timezone, filters)) for anomaly in anomalies[:MAX_EXPLAINED]
    ]
    return [*explained, *anomalies[MAX_EXPLAINED:]]


def _explain(anomaly: Anomaly, events: ibis.Table, by: Sequence[str], timezone: str, where: dict[str, Any]) -> str:
    """The first cause that accounts for half of the difference, else the one that accounts for most of it."""
    from hanzo_reports.metrics.compare import movers  # noqa: PLC0415  # a search in numbers needs no engine

    local = zone(timezone)
    starts = [midnight(anomaly.day + timedelta(days=offset), local) for offset in (-7, -6, 0, 1)]
    window = Window(starts[2], starts[3], timezone, starts[3], previous_bounds=(starts[0], starts[1]))
    where = where | dict(zip(by, anomaly.key, strict=True))
    largest: tuple[Decimal, str] | None = None
    for cause in (name for name in CAUSES if name not in by and name in events.columns):
        [mover, *_] = movers(events, window, "cost", [cause], where=where, top=2).to_pyarrow().to_pylist()
        change = mover["contribution"]
        if (change > 0) == (anomaly.stake > 0) and (largest is None or abs(change) > abs(largest[0])):
            largest = change, _describe_group(cause, mover[cause])
        if largest and abs(largest[0]) >= abs(anomaly.stake) / 2:
            break
    if largest is None:
        return "no single group accounts for it"
    sign = "+" if largest[0] > 0 else ""
    change_text = format_value(largest[0], Unit.USD, "terminal")
    return f"{largest[1]}: {sign}{change_text} on the same weekday before"


def _describe_group(cause: str, name: str | None) -> str:
    return f"{cause} {name}" if name else f"requests without {_ARTICLES[cause]} {cause.replace('_', ' ')}"


def _score(residual: float, past: Floats, root: float) -> float:
    """How many spreads a residual is off the median of past ones.

    Args:
        residual: of the day.
        past: the known residuals of the days before.
        root: the square root of the day's spend.
    """
    median = np.median(past)
    deviation = _MAD_TO_DEVIATION * np.median(np.abs(past - median))
    spread = max(deviation, MIN_SPREAD_OF_DEVIATION * past.std(), MIN_SPREAD_OF_SPEND * root)
    return float((residual - median) / spread) if spread else 0.0


def _compute_residuals(panel: SpendPanel, days: int) -> tuple[Floats, Floats]:
    """Group x complete day: the difference from the forecast on the square root, and the forecast in USD.

    Both are NaN for days that are neither examined nor within the spread of one that is.
    """
    history = panel.history
    groups, length = history.shape
    residual, expected = np.full((groups, length), np.nan), np.full((groups, length), np.nan)
    for column in range(max(length - days - SPREAD_DAYS, MIN_HISTORY_DAYS), length):
        weekday = np.full(groups, (panel.first + timedelta(days=column)).weekday())
        past = history[:, max(column - 2 * SPREAD_DAYS, 0) : column]
        known = np.isfinite(past).sum(1) >= MIN_HISTORY_DAYS
        forecast = estimate_level(past, weekday).expected_days(weekday, 1)[:, 0]
        expected[known, column] = forecast[known]
        residual[known, column] = (np.sqrt(np.maximum(history[:, column], 0)) - np.sqrt(forecast))[known]
    return residual, expected


def _to_money(amount: float) -> Decimal:
    return Decimal(repr(float(amount))).quantize(Decimal("1e-9"))
