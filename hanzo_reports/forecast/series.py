"""Daily spend without gaps: from events, or from what a person hands over, to the matrix that the model reads."""

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

HISTORY = 400  # days that are looked back
RHYTHM, _HOUR = timedelta(days=14), timedelta(hours=1)  # how far back it is looked how long a pause may be
STALE = 7  # days without any event after which nothing is forecast
Key = tuple[str | None, ...]


@dataclass(frozen=True)
class Panel:
    """The daily spend of one or many groups, all up to the same instant.

    Args:
        by: the dimensions of a group; empty for one series of everything.
        keys: each group's values, in the order of `by`.
        first: the local day of the first column.
        amounts: group x day in USD, credits left out; NaN is a day that is not known. The last column is the day of
            `as_of`, as far as it has passed.
        spent: each group's net spend in the calendar month of `now`, credits taken off.
        as_of: the instant up to which events are known.
        now: the instant of asking.
        timezone: IANA name; days and months are cut in it.
        unpriced: each group's requests of the month that have tokens and no price.
        net: group x day in USD, credits taken off; None: there are no credits.
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
        """The local day of `as_of`: the first that is not complete."""
        return self.first + timedelta(days=self.amounts.shape[1] - 1)

    @property
    def month(self) -> tuple[date, date]:
        """The first day of the calendar month of `now`, and the first one after it."""
        return month(self.now.astimezone(zone(self.timezone)).date())

    @property
    def paid(self) -> Floats:
        """Group x day in USD, credits taken off, as `spent` adds them up."""
        return self.amounts if self.net is None else self.net

    @property
    def history(self) -> Floats:
        """Group x complete day, NaN before each group's first spend."""
        complete = self.amounts[:, :-1].copy()
        begun = np.cumsum(np.nan_to_num(complete) > 0, axis=1) > 0
        complete[~begun] = np.nan
        return complete

    def series(self) -> dict[str, dict[date, float | None]]:
        """Each group's complete days since its first spend, by its values joined with slashes."""
        named = {}
        for key, row in zip(self.keys, self.history, strict=True):
            known = np.isfinite(row)
            first = int(known.argmax()) if known.any() else len(row)
            days = ((self.first + timedelta(days=at), float(row[at])) for at in range(first, len(row)))
            named["/".join(str(each) for each in key)] = {day: v if isfinite(v) else None for day, v in days}
        return named

    def chosen(self, keys: Iterable[Key]) -> Panel:
        """The panel of these groups, in this order; one that never spent anything has zeros."""
        keys = list(keys)
        place = {key: number for number, key in enumerate(self.keys)}
        amounts, net = np.zeros((2, len(keys), self.amounts.shape[1]))
        for row, key in enumerate(keys):
            if key in place:
                amounts[row], net[row] = self.amounts[place[key]], self.paid[place[key]]
        spent = [self.spent[place[key]] if key in place else Decimal(0) for key in keys]
        unpriced = [self.unpriced[place[key]] if key in place and self.unpriced else 0 for key in keys]
        return replace(self, keys=keys, amounts=amounts, spent=spent, unpriced=unpriced, net=net)


def month(day: date) -> tuple[date, date]:
    """The first day of a day's calendar month, and the first day of the next."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def daily_spend(  # noqa: PLR0913
    events: ibis.Table,
    now: datetime,
    *,
    by: Sequence[str] = (),
    where: Where | None = None,
    timezone: str = "UTC",
    days: int = HISTORY,
) -> Panel:
    """The daily spend of each group, gapless: a day without events is 0, one whose requests have no price is unknown.

    Days after the newest event of all are not known either: logs may be late, so nothing is taken for a zero there.

    Args:
        events: any Ibis table with the event's columns.
        now: the instant up to which is looked; must carry an offset.
        by: dimensions that make a group.
        where: as in `metrics.query.aggregate`.
        timezone: the IANA zone in which days and months are cut.
        days: how far back.

    Returns:
        One row per group that had a request in that time, ordered by spend, the largest first.

    Raises:
        UnknownNameError: a dimension or the zone is not known.
        ColumnError: the table lacks a column that is needed.
    """
    from hanzo_reports.metrics.query import aggregate  # noqa: PLC0415  # a forecast of given numbers needs no engine
    from hanzo_reports.units import Grain  # noqa: PLC0415

    local, now = zone(timezone), now.astimezone(UTC)
    start = midnight(now.astimezone(local).date() - timedelta(days=days), local)
    as_of = _known_until(events, start, now)
    window = Window(start, max(as_of, start) + timedelta(microseconds=1), timezone, now)
    table = aggregate(events, window, ("cost", "credits", "unpriced_requests"), by=by, every=Grain.DAY, where=where)
    rows = table.order_by([*(table[name].asc(nulls_first=False) for name in by), "period"]).to_pyarrow()
    shape = (-1, len(window.buckets(Grain.DAY)))
    if not rows.num_rows:
        return Panel(tuple(by), [], start.astimezone(local).date(), np.zeros((0, shape[1])), [], as_of, now, timezone)
    net = _floats(rows["cost"]).reshape(shape)
    amounts = net - np.nan_to_num(_floats(rows["credits"])).reshape(shape)
    first = date.fromisoformat(rows["period"][0].as_py()[:10])
    begun = max((month(now.astimezone(local).date())[0] - first).days, 0)
    costs, missing = rows["cost"].to_pylist(), rows["unpriced_requests"].to_pylist()
    begins = range(0, rows.num_rows, shape[1])
    spent = [sum((each for each in costs[at + begun : at + shape[1]] if each is not None), Decimal(0)) for at in begins]
    unpriced = [sum(missing[at + begun : at + shape[1]]) for at in begins]
    names = [rows[name].to_pylist()[:: shape[1]] for name in by]
    keys: list[Key] = list(zip(*names, strict=True)) if by else [()]
    found = Panel(tuple(by), keys, first, amounts, spent, as_of, now, timezone, unpriced, net)
    return found.chosen(keys[place] for place in np.argsort(-np.nansum(amounts, axis=1), kind="stable"))


def given(daily: Mapping[date, Decimal | float | None], now: datetime, timezone: str = "UTC") -> Panel:
    """One series of a person's own numbers.

    Args:
        daily: USD for each local day, net of credits; None is a day that is not known, and so is one that is left out
            between others. The day of `now`, if it is there, is what was spent of it so far; if it is not, all of it
            is still to come.
        now: the instant of asking; must carry an offset.
        timezone: the IANA zone of the days.

    Raises:
        UsageError: an amount is not finite or too large, or a day lies after `now`.
        UnknownNameError: the zone is not known.
    """
    local = zone(timezone)
    today = now.astimezone(local).date()
    for day, usd in daily.items():
        if usd is not None:
            parse_money(usd, f"the spend of {day}")
        if day > today:
            msg = f"the spend of {day} lies after {today}, the day of now; leave future days out"
            raise UsageError(msg)
    last = max((day for day in daily if day < today), default=today - timedelta(days=1))
    as_of = midnight(last + timedelta(days=1), local) if daily.get(today) is None else now
    end = as_of.astimezone(local).date()
    first = min([*daily, end - timedelta(days=1)])
    days = [first + timedelta(days=place) for place in range((end - first).days + 1)]
    begun, after = month(today)
    found = [daily.get(day) for day in days[:-1]] + [daily.get(end) or 0]
    net = np.array([[np.nan if usd is None else float(usd) for usd in found]])
    spent = sum((Decimal(str(daily[day] or 0)) for day in daily if begun <= day < after), Decimal(0))
    asked = (as_of.astimezone(UTC), now.astimezone(UTC), timezone)
    return Panel((), [()], first, np.maximum(net, 0.0), [spent], *asked, net=net)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast("float64").to_numpy(), float)


def _known_until(events: ibis.Table, start: datetime, now: datetime) -> datetime:
    """`now`, or the newest event, where all has been silent for so long that later ones must still be on their way.

    That is for a day, or for longer than ever in the two weeks before, and at least for an hour.
    """
    from hanzo_reports.metrics.dialect import epoch_seconds, latest, whole  # noqa: PLC0415
    from hanzo_reports.metrics.query import filter_events  # noqa: PLC0415

    rows = filter_events(events, Window(start, now), None, ())
    newest: datetime | None = rows.aggregate(newest=latest(rows.timestamp)).to_pyarrow()["newest"][0].as_py()
    if newest is None or now - newest < _HOUR:
        return now
    if now - newest < timedelta(days=1):
        late = filter_events(events, Window(max(newest - RHYTHM, start), now), None, ())
        hours = late.select(hour=whole(epoch_seconds(late.timestamp), 3600)).distinct()
        active = sorted(hours.to_pyarrow()["hour"].to_pylist())
        pauses = [after - before for before, after in pairwise(active)]
        if not pauses or now - newest <= max(pauses) * _HOUR:
            return now
    return newest.astimezone(UTC)
