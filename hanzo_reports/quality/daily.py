"""The table of the suite ``daily``: one row per local day, with the numbers that show a day that went wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.metrics.catalog import is_unpriced
from hanzo_reports.metrics.dialect import earliest, epoch_seconds, instant
from hanzo_reports.metrics.metric import Metric
from hanzo_reports.metrics.query import aggregate_groups, filter_events
from hanzo_reports.units import Direction, Grain, Unit
from hanzo_reports.window import Window, midnight, zone

if TYPE_CHECKING:
    import ibis.expr.types as ir

WEEK = 7
INSTANT = "timestamp('UTC')"
_NEEDS = (
    "event_id", "timestamp", "service", "endpoint", "user", "api_key", "model", "input_tokens", "output_tokens", "cost",
)  # fmt: skip
_CALL = ("timestamp", "service", "endpoint", "user", "api_key", "model", "input_tokens", "output_tokens")


def _tokens(t: ir.Table) -> ir.IntegerValue:
    return t.input_tokens.fill_null(0) + t.output_tokens.fill_null(0)


def _count(bad: ir.BooleanValue) -> ir.IntegerValue:
    return ibis.ifelse(bad.fill_null(False), 1, 0).sum()


def _same_call(t: ir.Table) -> ir.IntegerValue:
    """Requests minus different calls; equal calls have the same instant, service, caller, model and tokens."""
    parts = [t[name].cast("string").fill_null("") for name in _CALL]
    text = parts[0]
    for part in parts[1:]:
        text = text + "\x1f" + part
    return t.count() - text.nunique()


def _metric(name: str, expression: object, *, additive: bool = True) -> Metric:
    return Metric(name, name, Unit.REQUESTS, Direction.DOWN, name, expression, _NEEDS, additive=additive)  # type: ignore[arg-type]


_METRICS = [
    _metric("requests", lambda t: t.count()),
    _metric("with_tokens", lambda t: _count(_tokens(t) > 0)),
    _metric("unpriced", lambda t: _count(is_unpriced(t))),
    _metric("free_answers", lambda t: _count((t.output_tokens > 0) & (t.cost == 0))),
    _metric("duplicates", lambda t: t.event_id.count() - t.event_id.nunique()),
    _metric("same_calls", _same_call),
    _metric("last_event", lambda t: t.timestamp.max(), additive=False),
]


def daily(events: ir.Table, window: Window) -> ir.Table:
    """Each whole local day of a window, and the day of `now`, beside the same weekday of the previous week.

    Args:
        events: any Ibis table with the event's columns; events after `now` are left out.
        window: its days; a day that it holds only a part of is left out, except the day of `now`.

    Returns:
        One row per day, in order: `day` (local date as text), `complete` (whether the day is over), `requests`,
        `requests_week_before` (NULL on a day that is not over), `volume_ratio` (requests divided by those; NULL where
        they are NULL or 0), `unpriced` and `unpriced_share` (of requests with tokens), `free_answers` (requests with
        output tokens at a cost of 0), `duplicates` (requests with the id of another one), `same_calls` (requests of
        different ids that are otherwise the same call), `hours_without_events` (from the last event to the day's end,
        or to now; NULL: no event in the window and the week before it) and `begun` (whether the first event of all is
        before the day's end; true where there is none).
    """
    now = window.now or window.end
    where = zone(window.timezone)
    first = window.start.astimezone(where).date()
    if midnight(first, where) < window.start:
        first += timedelta(days=1)
    last = min(window.end, now).astimezone(where)
    end = midnight(last.date() + timedelta(days=1), where) if window.end >= now else midnight(last.date(), where)
    start = midnight(first - timedelta(days=WEEK), where)
    extended = Window(min(start, end), end, window.timezone, now)
    past_events = filter_events(events, replace(extended, end=min(end, now)), None, _NEEDS)
    days = aggregate_groups(past_events, extended, _METRICS, [], Grain.DAY).order_by("period")
    ends = {bucket.label: bucket.end for bucket in extended.buckets(Grain.DAY)}
    closes = ((days.period == label, instant(min(end, now), events)) for label, end in ends.items())
    before = ibis.window(order_by=days.period)
    days = days.mutate(
        day=days.period.substr(0, 10),
        complete=days.period.isin([label for label, end in ends.items() if end <= now]),
        _closed=ibis.cases(*closes, else_=ibis.null(INSTANT)),
        _before=days.requests.lag(WEEK).over(before),
        _last=days.last_event.max().over(ibis.window(preceding=None, following=0, order_by=days.period)),
    )
    all_past = events.filter(events.timestamp < instant(min(end, now), events))
    first_ever = all_past.aggregate(first=earliest(all_past.timestamp)).as_scalar()
    earlier = ibis.ifelse(days.complete, days["_before"], ibis.null())  # untyped, as ClickHouse's counts are unsigned
    silent = epoch_seconds(days["_closed"]) - epoch_seconds(days["_last"])
    result = days.select(
        "day", "complete", "requests",
        requests_week_before=earlier,
        volume_ratio=days.requests.cast("float64") / earlier.nullif(0),
        unpriced=days.unpriced,
        unpriced_share=days.unpriced.cast("float64") / days.with_tokens.nullif(0),
        free_answers=days.free_answers, duplicates=days.duplicates, same_calls=days.same_calls,
        hours_without_events=silent.cast("float64") / 3600,
        begun=(days["_closed"] > first_ever).fill_null(True),
    )  # fmt: skip
    return result.filter(result.day >= first.isoformat()).order_by("day")
