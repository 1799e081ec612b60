"""Daily spend without gaps, from events or from a mapping: the matrix that forecasts read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from hanzo_reports.errors import UsageError
from hanzo_reports.parse_values import parse_money
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis
    import pyarrow as pa

    from hanzo_reports.forecast.level import Floats
    from hanzo_reports.metrics.arguments import Where

HISTORY_DAYS = 400
MAX_EVENT_AGE_DAYS = 7  # with no newer event there is no forecast
PAUSE_HISTORY = timedelta(days=14)  # how far back the longest usual pause between events is measured
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
Key = tuple[str | None, ...]


@dataclass(frozen=True)
class SpendPanel:
    """The daily spend of one or many groups up to one instant.

    Args:
        by: the dimensions of a group; empty: one series of the total.
        keys: each group's values, in the order of `by`.
        first: the local day of the first column.
        amounts: group x day in USD, without credits; NaN: not known. The last column is the elapsed part of the day of
            `as_of`.
        spent: each group's spend in the calendar month of `now`, net of credits.
        as_of: the instant up to which events are known.
        now: the instant of the question.
        timezone: the IANA zone of days and months.
        unpriced: each group's requests of the month that have tokens and no known price; empty: none.
        net: group x day in USD, net of credits; None: there are no credits.
    """

    by: tuple[str, ...]
    keys: Sequence[Key]
    first: date
    amounts: Floats
    spent: Sequence[Decimal]
    as_of: datetime
    now: datetime
    timezone: str
    unpriced: Sequence[int] = ()
    net: Floats | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def today(self) -> date:
        """The local day of `as_of`: the first one that is not complete."""
        return self.first + timedelta(days=self.amounts.shape[1] - 1)

    @property
    def month(self) -> tuple[date, date]:
        """The first local day of the calendar month of `now`, and that of the next month."""
        return month_bounds(self.now.astimezone(zone(self.timezone)).date())

    @property
    def net_amounts(self) -> Floats:
        """Group x day in USD, net of credits; `spent` is their sum."""
        return self.amounts if self.net is None else self.net

    @property
    def history(self) -> Floats:
        """Group x complete day in USD, NaN before each group's first spend."""
        complete = self.amounts[:, :-1].copy()
        has_begun = np.cumsum(np.nan_to_num(complete) > 0, axis=1) > 0
        complete[~has_begun] = np.nan
        return complete

    def to_series(self) -> dict[str, dict[date, float | None]]:
        """Each group's complete days since its first spend, in USD; the name is its values joined by slashes."""
        series = {}
        for key, row in zip(self.keys, self.history, strict=True):
            known = np.isfinite(row)
            first = int(known.argmax()) if known.any() else len(row)
            days = ((self.first + timedelta(days=column), float(row[column])) for column in range(first, len(row)))
            series["/".join(str(value) for value in key)] = {day: usd if isfinite(usd) else None for day, usd in days}
        return series

    def select(self, keys: Iterable[Key]) -> SpendPanel:
        """The panel of these groups, in this order; a group without spend has zeros."""
        keys = list(keys)
        row_of = {key: row for row, key in enumerate(self.keys)}
        amounts, net = np.zeros((2, len(keys), self.amounts.shape[1]))
        for row, key in enumerate(keys):
            if key in row_of:
                amounts[row], net[row] = self.amounts[row_of[key]], self.net_amounts[row_of[key]]
        spent = [self.spent[row_of[key]] if key in row_of else Decimal(0) for key in keys]
        unpriced = [self.unpriced[row_of[key]] if key in row_of and self.unpriced else 0 for key in keys]
        return replace(self, keys=keys, amounts=amounts, spent=spent, unpriced=unpriced, net=net)


def month_bounds(day: date) -> tuple[date, date]:
    """The first day of a day's calendar month, and the first day of the next month."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def daily_spend(  # noqa: PLR0913
    events: ibis.Table,
    now: datetime,
    *,
    by: Sequence[str] = (),
    where: Where | None = None,
    timezone: str = "UTC",
    days: int = HISTORY_DAYS,
) -> SpendPanel:
    """The daily spend of each group, without gaps.

    A day without events is 0. A day whose requests have no known price is not known, and neither is a day after the
    newest event of the table, since logs may be late.

    Args:
        events: an Ibis table with the columns of events.
        now: the instant up to which events count, with a UTC offset.
        by: the dimensions of a group; empty: one series of the total.
        where: as in `metrics.query.aggregate`.
        timezone: the IANA zone of days and months.
        days: the length of the history before today.

    Returns:
        One row per group with a request in this time, ordered by spend, the largest first.

    Raises:
        UnknownNameError: an unknown dimension or time zone.
        ColumnError: the table lacks a required column.
    """
    from hanzo_reports.metrics.query import aggregate  # noqa: PLC0415  # a forecast of a mapping needs no engine
    from hanzo_reports.units import Grain  # noqa: PLC0415

    local, now = zone(timezone), now.astimezone(UTC)
    start = midnight(now.astimezone(local).date() - timedelta(days=days), local)
    as_of = _find_as_of(events, start, now)
    window = Window(start, max(as_of, start) + timedelta(microseconds=1), timezone, now)
    table = aggregate(events, window, ("cost", "credits", "unpriced_requests"), by=by, every=Grain.DAY, where=where)
    rows = table.order_by([*(table[name].asc(nulls_first=False) for name in by), "period"]).to_pyarrow()
    length = len(window.buckets(Grain.DAY))
    if not rows.num_rows:
        first = start.astimezone(local).date()
        return SpendPanel(tuple(by), [], first, np.zeros((0, length)), [], as_of, now, timezone)
    net = _to_floats(rows["cost"]).reshape((-1, length))
    amounts = net - np.nan_to_num(_to_floats(rows["credits"])).reshape((-1, length))
    first = date.fromisoformat(rows["period"][0].as_py()[:10])
    month_column = max((month_bounds(now.astimezone(local).date())[0] - first).days, 0)
    costs, unpriced_counts = rows["cost"].to_pylist(), rows["unpriced_requests"].to_pylist()
    months = [slice(row + month_column, row + length) for row in range(0, rows.num_rows, length)]
    spent = [sum((cost for cost in costs[month] if cost is not None), Decimal(0)) for month in months]
    unpriced = [sum(unpriced_counts[month]) for month in months]
    columns = [rows[name].to_pylist()[::length] for name in by]
    keys: list[Key] = list(zip(*columns, strict=True)) if by else [()]
    panel = SpendPanel(tuple(by), keys, first, amounts, spent, as_of, now, timezone, unpriced, net)
    return panel.select(keys[row] for row in np.argsort(-np.nansum(amounts, axis=1), kind="stable"))


def build_panel(daily: Mapping[date, Decimal | float | None], now: datetime, timezone: str = "UTC") -> SpendPanel:
    """Build the panel of one series of daily spend.

    Args:
        daily: USD by local day, net of credits; None, or a day left out between others: not known. The amount of the
            day of `now` is what was spent so far; without one, the whole day is still to come.
        now: the instant of the question, with a UTC offset.
        timezone: the IANA zone of the days.

    Raises:
        UsageError: an amount is not finite or too large, or a day lies after `now`.
        UnknownNameError: the time zone is unknown.
    """
    local = zone(timezone)
    today = now.astimezone(local).date()
    for day, usd in daily.items():
        if usd is not None:
            parse_money(usd, f"the spend of {day}")
        if day > today:
            msg = f"the spend of {day} lies after {today}, the day of `now`; leave future days out"
            raise UsageError(msg)
    last_complete = max((day for day in daily if day < today), default=today - _DAY)
    as_of = midnight(last_complete + _DAY, local) if daily.get(today) is None else now
    end = as_of.astimezone(local).date()
    first = min([*daily, end - _DAY])
    complete_days = [first + timedelta(days=column) for column in range((end - first).days)]
    amounts = [daily.get(day) for day in complete_days] + [daily.get(end) or 0]
    net = np.array([[np.nan if usd is None else float(usd) for usd in amounts]])
    month_start, next_start = month_bounds(today)
    month = [Decimal(str(usd or 0)) for day, usd in daily.items() if month_start <= day < next_start]
    return SpendPanel(
        (), [()], first, np.maximum(net, 0.0), [sum(month, Decimal(0))], as_of.astimezone(UTC), now.astimezone(UTC),
        timezone, net=net,
    )  # fmt: skip


def _to_floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast("float64").to_numpy(), float)


def _find_as_of(events: ibis.Table, start: datetime, now: datetime) -> datetime:
    """The instant up to which events are known: `now`, or the newest event if later ones are probably late.

    They are if the newest is a day old, or at least an hour and longer than any pause of the two weeks before it.
    """
    from hanzo_reports.metrics.dialect import epoch_seconds, latest, whole  # noqa: PLC0415
    from hanzo_reports.metrics.query import filter_events  # noqa: PLC0415

    rows = filter_events(events, Window(start, now), None, ())
    newest: datetime | None = rows.aggregate(newest=latest(rows.timestamp)).to_pyarrow()["newest"][0].as_py()
    if newest is None or now - newest < _HOUR:
        return now
    if now - newest < _DAY:
        recent = filter_events(events, Window(max(newest - PAUSE_HISTORY, start), now), None, ())
        hours = recent.select(hour=whole(epoch_seconds(recent.timestamp), 3600)).distinct()
        active_hours = sorted(hours.to_pyarrow()["hour"].to_pylist())
        pauses = [next_hour - hour for hour, next_hour in pairwise(active_hours)]
        if not pauses or now - newest <= max(pauses) * _HOUR:
            return now
    return newest.astimezone(UTC)
