"""The only GROUP BY in the house: filter, cut into buckets, group, keep the top groups, fill the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import ibis

from hanzo_reports.errors import ColumnError, UnknownNameError, UsageError, WindowError, nearest
from hanzo_reports.events import DIMENSIONS
from hanzo_reports.metrics.catalog import select_metrics
from hanzo_reports.metrics.dialect import (
    date_of,
    epoch_seconds,
    instant,
    joins_with_zeros,
    small_table,
    sort_key,
    whole,
)
from hanzo_reports.units import Grain
from hanzo_reports.window import Window, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from hanzo_reports.metrics.metric import Metric

Where: TypeAlias = "Mapping[str, Sequence[str | int | None] | str | int | None]"
OTHER = "other"
SHIFTED = 700_000  # days, whole weeks: engines round towards 0, and the first hours of 1970 are below it in the west


def aggregate(  # noqa: PLR0913
    events: ir.Table,
    window: Window,
    metrics: Iterable[str],
    *,
    by: Iterable[str] = (),
    every: Grain | str | None = None,
    where: Where | None = None,
    top: int | None = None,
) -> ir.Table:
    """Metrics over a window, by groups and time buckets.

    Args:
        events: any Ibis table with the event's columns.
        window: what to look at.
        metrics: names of the catalogue; `tokens` brings `input_tokens` and `output_tokens` along.
        by: dimensions to group by.
        every: the bucket's grain; buckets without events are filled (additive metrics with 0, others with NULL).
        where: for each dimension the value, or the values, to keep; None (or an empty string) is "unknown".
        top: keep so many groups, the largest by the first metric over the whole window; the rest becomes one row
            whose dimensions are all ``other`` and whose ratios and percentiles are computed from its rows.

    Returns:
        One row per group (x bucket, in `period`: the bucket's first instant, ISO 8601 with the zone's offset), then
        the metrics; ordered by period, the rest last, the first metric descending, then the groups.

    Raises:
        UnknownNameError: a metric, dimension or grain is not known.
        UsageError: `top` is below 1, or a filter's value is not of its column's type.
        ColumnError: the table lacks a column that is needed.
        WindowError: `window` is no Window, or the grain gives over 20,000 buckets.
    """
    asked, dims, grain = select_metrics(metrics), select_dimensions(by), None if every is None else _grain(every)
    rows = filter_events(events, window, where, required_columns(asked, dims))
    if dims and top is not None:
        rows = collapse_groups(rows, dims, top_groups(rows, asked[0], dims, top))
    table = aggregate_groups(rows, window, asked, dims, grain)
    order = [table[name].asc() for name in ("_key", "_rest") if name in table.columns]
    order += [table[asked[0].name].desc(nulls_first=False), *(sort_key(table[d]).asc(nulls_first=False) for d in dims)]
    return table.order_by(order).drop(*(name for name in ("_key", "_rest") if name in table.columns))


def filter_events(events: ir.Table, window: Window, where: Where | None, columns: Iterable[str]) -> ir.Table:
    """The rows of a window that pass a filter; checks that the table has the columns that are needed."""
    if not isinstance(window, Window):
        msg = f"a Window is needed, not {window!r}; make one: hr.Window.parse({str(window)!r}, now=...)"
        raise WindowError(msg)
    tests: dict[str, object] = dict(where or {})
    select_dimensions(tests)
    for name in ("timestamp", *columns, *tests):
        if name not in events.columns:
            near = nearest(name, events.columns)
            msg = f"the events table has no column {name!r}{f'; the nearest is {near!r}' if near else ''}"
            raise ColumnError(msg)
    keep = [events.timestamp >= instant(window.start, events), events.timestamp < instant(window.end, events)]
    return events.filter(*keep, *(_matches(events[name], name, value) for name, value in tests.items()))


def top_groups(rows: ir.Table, metric: Metric, dims: Sequence[str], top: int) -> ir.Table:
    """The `top` groups, largest first by one metric."""
    if top < 1:
        msg = f"top must be at least 1, not {top}"
        raise UsageError(msg)
    ranked = rows.aggregate(_rank=metric.expression(rows), by=list(dims))
    order = [ranked["_rank"].desc(nulls_first=False), *(sort_key(ranked[d]).asc(nulls_first=False) for d in dims)]
    return ranked.order_by(order).limit(top).select(*dims)


def collapse_groups(rows: ir.Table, dims: Sequence[str], kept: ir.Table) -> ir.Table:
    """The rows with the dimensions of all groups but the kept ones set to ``other``, told apart by `_rest`."""
    marked = kept.rename({f"_kept_{d}": d for d in dims}).mutate(_kept=True)
    joined = rows.left_join(marked, [rows[d].identical_to(marked[f"_kept_{d}"]) for d in dims])
    rest = ~joined["_kept"].fill_null(False)  # noqa: FBT003  # ClickHouse joins without NULL: False where none is kept
    named = {d: rest.ifelse(OTHER, joined[d].cast("string")) for d in dims}
    return joined.mutate(**named, _rest=rest).drop("_kept", *(f"_kept_{d}" for d in dims))


def aggregate_groups(
    rows: ir.Table, window: Window, asked: list[Metric], dims: list[str], grain: Grain | None = None
) -> ir.Table:
    """Rows to groups (x buckets), with `_rest` beside the dimensions when the rows carry it.

    With buckets there is `period`, and `_key` to order by: as texts, the two hours that one hour of autumn is would
    stand the wrong way round east of Greenwich.
    """
    keys = [*dims, *(["_rest"] if "_rest" in rows.columns else [])]
    values = {metric.name: metric.expression(rows) for metric in asked}
    if grain:
        bucket = bucket_key(rows.timestamp, window, grain).name("_bucket")
        groups = rows.aggregate(**values, _n=rows.count(), by=[*keys, bucket])
        table = _filled(groups, rows, window, grain, keys)
        empty, nothing = table["_n"].isnull(), None
        if joins_with_zeros(rows):
            empty, nothing = table["_n"].fill_null(0) == 0, ibis.null()
        final = {m.name: _finished(table[m.name], m, empty, table["_seconds"], nothing) for m in asked}
        return table.select("_key", "period", *keys, **final)
    seconds = ibis.literal(window.seconds, "float64")
    if keys:  # a group is there because of its events
        table, empty = rows.aggregate(**values, by=keys), None
    else:
        table = rows.aggregate(**values, _n=rows.count())
        empty = table["_n"] == 0
    return table.select(*keys, **{m.name: _finished(table[m.name], m, empty, seconds) for m in asked})


def _finished(
    value: ir.Value,
    metric: Metric,
    empty: ir.BooleanValue | None,
    seconds: ir.FloatingValue,
    nothing: ir.Scalar | None = None,
) -> ir.Value:
    """A metric's last step: what it is where there are no events, and the division by the time that has passed.

    Args:
        value: its aggregate.
        metric: which one it is.
        empty: whether there are no events; None: there are.
        seconds: how long the window or the bucket has lasted.
        nothing: what a metric that cannot be added up is without events; None: its aggregate says so.
    """
    without = 0 if metric.additive else nothing
    if empty is not None and without is not None:
        value = empty.ifelse(without, value)
    return value.cast("float64") / seconds.nullif(0) if metric.per_second else value


def bucket_key(begun: ir.TimestampValue, window: Window, grain: Grain) -> ir.IntegerValue:
    """The number of the bucket that an instant falls into, as `Window.buckets` numbers them."""
    steps = segments(window.timezone, window.start, window.end)
    second = epoch_seconds(begun)
    pieces = [
        _piece(second, offset, None if not n else int(since.timestamp()), grain)
        for n, (since, offset) in enumerate(steps)
    ]
    key = pieces[0]
    for (since, _), piece in zip(steps[1:], pieces[1:], strict=True):
        key = (begun < instant(since, begun)).ifelse(key, piece)
    return key.cast("int64")


def _piece(second: ir.IntegerValue, offset: int, since: int | None, grain: Grain) -> ir.IntegerValue:
    """The bucket key while one UTC offset holds."""
    shift = offset + SHIFTED * 86_400
    local = second + shift
    if grain.seconds:
        key = local - local % grain.seconds - shift
        return key if since is None else ibis.greatest(key, since)
    day = whole(local, 86_400)
    if grain is Grain.WEEK:
        return day - (day + 3) % 7 - SHIFTED
    if grain is Grain.MONTH:
        date = date_of(day - SHIFTED)
        return date.year().cast("int64") * 12 + date.month() - 1
    return day - SHIFTED


def _filled(table: ir.Table, events: ir.Table, window: Window, grain: Grain, keys: list[str]) -> ir.Table:
    """Every group with every bucket of the window; with `events`, the table that the groups are made of."""
    now = window.passed.end
    rows = [(b.key, max((min(b.end, now) - b.start).total_seconds(), 0.0), b.label) for b in window.buckets(grain)]
    buckets = small_table(rows, {"_key": "int64", "_seconds": "float64", "period": "string"}, events)
    grid = buckets if not keys else table.select(*keys).distinct().cross_join(buckets)
    same = [grid["_key"] == table["_bucket"], *(grid[k].identical_to(table[k]) for k in keys)]
    return grid.left_join(table, same)


def select_dimensions(names: Iterable[str]) -> list[str]:
    """Dimensions of those names, each once, in order; an unknown one is named with its nearest."""
    found = dict.fromkeys((names,) if isinstance(names, str) else names)
    for name in found:
        if name in set(Grain):
            msg = f"{name!r} is a grain, not a dimension; ask for time buckets with every={name!r}"
            raise UsageError(msg)
        if name not in DIMENSIONS:
            raise UnknownNameError("dimension", name, DIMENSIONS)
    return list(found)


def required_columns(asked: Iterable[Metric], dims: Iterable[str]) -> list[str]:
    """The event's columns that metrics and dimensions read."""
    return list(dict.fromkeys((*(column for metric in asked for column in metric.needs), *dims)))


def _grain(name: Grain | str) -> Grain:
    if name not in set(Grain):
        raise UnknownNameError("grain", str(name), [grain.value for grain in Grain])
    return Grain(name)


def _matches(column: ir.Column, name: str, given: object) -> ir.BooleanValue:
    values = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    known = [_typed(column, name, value) for value in values if value not in {None, ""}]
    tests = [column.isin(known)] if known else []
    if len(known) < len(values):
        tests.append(column.isnull())
    return ibis.or_(*tests)


def _typed(column: ir.Column, name: str, value: object) -> object:
    if not column.type().is_integer():
        return str(value)
    try:
        return int(str(value))
    except ValueError:
        msg = f"where {name}={value!r}: {name} is a whole number, for example {name}=200"
        raise UsageError(msg) from None
