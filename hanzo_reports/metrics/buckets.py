"""Time buckets: the number of the bucket that an instant falls into, and a row for each empty bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from hanzo_reports.metrics.dialect import date_of, epoch_seconds, instant, small_table, whole
from hanzo_reports.units import Grain
from hanzo_reports.window import utc_offsets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from hanzo_reports.window import Window

OFFSET_DAYS = 700_000  # whole weeks: engines round towards 0, and local time in 1970 can lie below 0 west of Greenwich


def bucket_key(instants: ir.TimestampValue, window: Window, grain: Grain) -> ir.IntegerValue:
    """The number of the bucket that an instant falls into, as `Window.buckets` numbers them."""
    offsets = utc_offsets(window.timezone, window.start, window.end)
    second = epoch_seconds(instants)
    keys = [
        _key_at_offset(second, offset, None if not n else int(since.timestamp()), grain)
        for n, (since, offset) in enumerate(offsets)
    ]
    key = keys[0]
    for (since, _), later_key in zip(offsets[1:], keys[1:], strict=True):
        key = (instants < instant(since, instants)).ifelse(key, later_key)
    return key.cast("int64")


def fill_buckets(table: ir.Table, events: ir.Table, window: Window, grain: Grain, groups: Sequence[str]) -> ir.Table:
    """Every group with every bucket of the window, whether it has events or not.

    Args:
        table: one row per group and bucket that has events, the bucket's number in `_bucket`.
        events: the table that `table` is computed from.
        window: what the buckets cut.
        grain: their length.
        groups: the columns of `table` that identify a group.

    Returns:
        One row per group and bucket: the columns of `table`, NULL where the bucket has no events, with `_key` (the
        bucket's number), `_seconds` (how much of it has passed) and `period` (its first instant, ISO 8601).
    """
    now = window.elapsed.end
    rows = [(b.key, max((min(b.end, now) - b.start).total_seconds(), 0.0), b.label) for b in window.buckets(grain)]
    buckets = small_table(rows, {"_key": "int64", "_seconds": "float64", "period": "string"}, events)
    grid = buckets if not groups else table.select(*groups).distinct().cross_join(buckets)
    same_bucket = [grid["_key"] == table["_bucket"], *(grid[k].identical_to(table[k]) for k in groups)]
    return grid.left_join(table, same_bucket)


def _key_at_offset(second: ir.IntegerValue, offset: int, since: int | None, grain: Grain) -> ir.IntegerValue:
    """The bucket's number while one UTC offset holds; `since` is the second from which it holds."""
    shift = offset + OFFSET_DAYS * 86_400
    local = second + shift
    if grain.seconds:
        key = local - local % grain.seconds - shift
        return key if since is None else ibis.greatest(key, since)
    day = whole(local, 86_400)
    if grain is Grain.WEEK:
        return day - (day + 3) % 7 - OFFSET_DAYS
    if grain is Grain.MONTH:
        date = date_of(day - OFFSET_DAYS)
        return date.year().cast("int64") * 12 + date.month() - 1
    return day - OFFSET_DAYS
