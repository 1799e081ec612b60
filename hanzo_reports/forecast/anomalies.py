"""Days on which spend was out of line: by how much, and which group moved it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from hanzo_reports.errors import UsageError
from hanzo_reports.forecast.level import level
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis

    from hanzo_reports.forecast.level import Floats
    from hanzo_reports.forecast.series import Key, Panel
    from hanzo_reports.metrics.arguments import Where

FEWEST, JUDGED = 10, 60  # days before a day that can be judged; days back whose residuals make the spread
SCORE = 3.5
LEAST = 0.01  # of the root of the day's spend: always the same is no spread at all, and nothing could be off by it
FLOOR = 0.75  # the spread is at least this share of the standard deviation: MAD alone collapses
STAKE = Decimal(1)
CAUSES = ("model", "api_key", "user", "project", "endpoint", "service")  # the first that explains most of it is told
MOST = 50
_WITHOUT = {cause: f"{'an' if cause[0] in 'aeo' else 'a'} {cause.replace('_', ' ')}" for cause in CAUSES}


@dataclass(frozen=True)
class Anomaly:
    """A day on which a group's spend was out of line.

    Args:
        key: the group.
        day: the local day.
        spent: USD of that day.
        expected: USD that its weekday, the weeks before it, led to expect.
        score: how many spreads it is off, on the square root of spend; above 0: more than expected.
        why: which group moved it, in words.
    """

    key: Key
    day: date
    spent: Decimal
    expected: Decimal
    score: float
    why: str = ""

    @property
    def stake(self) -> Decimal:
        """USD above what was expected; below 0: less was spent."""
        return self.spent - self.expected


def anomalies(panel: Panel, days: int = 30, *, score: float = SCORE, stake: Decimal = STAKE) -> list[Anomaly]:
    """The days that are out of line, the newest first, the most money at stake first.

    A day is compared with what the days before it led to expect, by weekday, on the square root of spend, whose spread
    is much the same for small and large amounts. The spread is the median absolute deviation of the last 60 days, and
    not below 0.75 standard deviations, nor below a hundredth of the day.

    Args:
        panel: the daily spend.
        days: how many complete days are judged.
        score: the number of spreads from which on a day is out of line.
        stake: the least USD off to be worth a look.

    Raises:
        UsageError: `days` is below 1, or `score` or `stake` is not above 0.
    """
    if days < 1 or not score > 0 or not stake > 0:
        msg = f"days must be at least 1, score and stake above 0; got {days}, {score} and {stake}"
        raise UsageError(msg)
    history = panel.history
    residual, expected = _residuals(history, panel, days)
    found = []
    length = history.shape[1]
    for at in range(max(length - days, 0), length):
        before = residual[:, max(at - JUDGED, 0) : at]
        known = np.isfinite(before).sum(1)
        judged = np.flatnonzero((known >= FEWEST) & np.isfinite(residual[:, at]))
        for row in judged.tolist():
            past = before[row][np.isfinite(before[row])]
            middle = np.median(past)
            size = np.sqrt(max(history[row, at], expected[row, at]))
            spread = max(1.4826 * np.median(np.abs(past - middle)), FLOOR * past.std(), LEAST * size)
            off = (residual[row, at] - middle) / spread if spread else 0.0
            day = panel.first + timedelta(days=at)
            amounts = [
                Decimal(repr(float(each))).quantize(Decimal("1e-9")) for each in (history[row, at], expected[row, at])
            ]
            if abs(off) >= score and abs(amounts[0] - amounts[1]) >= stake:
                found.append(Anomaly(panel.keys[row], day, amounts[0], amounts[1], float(off)))
    return sorted(found, key=lambda each: (-each.day.toordinal(), -abs(each.stake), each.key))


def explained(
    found: Sequence[Anomaly], events: ibis.Table, by: Sequence[str], timezone: str, where: Where | None = None
) -> list[Anomaly]:
    """The anomalies with which group moved each: the one with the largest difference from the same weekday before.

    Args:
        found: anomalies of a panel; the first 50 are explained.
        events: any Ibis table with the event's columns.
        by: the dimensions of their keys.
        timezone: the zone of their days.
        where: the filter of the panel.
    """
    told = [replace(each, why=_why(each, events, by, timezone, dict(where or {}))) for each in found[:MOST]]
    return [*told, *found[MOST:]]


def _why(each: Anomaly, events: ibis.Table, by: Sequence[str], timezone: str, where: dict[str, Any]) -> str:
    from hanzo_reports.metrics.compare import movers  # noqa: PLC0415  # numbers alone need no engine

    local = zone(timezone)
    starts = [midnight(each.day + timedelta(days=off), local) for off in (-7, -6, 0, 1)]
    window = Window(starts[2], starts[3], timezone, starts[3], previous_bounds=(starts[0], starts[1]))
    where = where | dict(zip(by, each.key, strict=True))
    best: tuple[Decimal, str] | None = None
    for cause in (name for name in CAUSES if name not in by and name in events.columns):
        moved = movers(events, window, "cost", [cause], where=where, top=2).to_pyarrow().to_pylist()[0]
        size = moved["contribution"]
        if (size > 0) == (each.stake > 0) and (best is None or abs(size) > abs(best[0])):
            best = (size, f"{cause} {moved[cause]}" if moved[cause] else f"requests without {_WITHOUT[cause]}")
        if best and abs(best[0]) >= abs(each.stake) / 2:
            break
    if best is None:
        return "no single group moved it"
    sign = "+" if best[0] > 0 else ""
    return f"{best[1]}: {sign}{format_value(best[0], Unit.USD, 'terminal')} on the same weekday before"


def _residuals(history: Floats, panel: Panel, days: int) -> tuple[Floats, Floats]:
    """Each day's spend against what the days before it led to expect: on the square root, and in USD."""
    series, length = history.shape
    residual, expected = np.full((series, length), np.nan), np.full((series, length), np.nan)
    for at in range(max(length - days - JUDGED, FEWEST), length):
        weekday = np.full(series, (panel.first + timedelta(days=at)).weekday())
        before = history[:, max(at - 2 * JUDGED, 0) : at]
        known = np.isfinite(before).sum(1) >= FEWEST
        ahead = level(before, weekday).days(weekday, 1)[:, 0]
        expected[known, at] = ahead[known]
        residual[known, at] = (np.sqrt(np.maximum(history[:, at], 0)) - np.sqrt(ahead))[known]
    return residual, expected
