"""The only GROUP BY of the package: filter, cut into buckets, group, keep the top groups, fill the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from hanzo_reports.errors import ColumnError, UsageError, nearest
from hanzo_reports.metrics.arguments import (
    Where,
    check_events,
    check_top,
    check_window,
    parse_grain,
    parse_where,
    select_dimensions,
)
from hanzo_reports.metrics.buckets import bucket_key, fill_buckets
from hanzo_reports.metrics.catalog import select_metrics
from hanzo_reports.metrics.dialect import instant, joins_with_zeros, sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import ibis.expr.types as ir

    from hanzo_reports.metrics.metric import Metric
    from hanzo_reports.units import Grain
    from hanzo_reports.window import Window

OTHER = "other"


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
        window: the time that the events lie in.
        metrics: names of the catalogue; `tokens` brings `input_tokens` and `output_tokens` along.
        by: dimensions to group by.
        every: the bucket's grain; buckets without events are filled (additive metrics with 0, others with NULL).
        where: for each dimension the value, or the values, to keep; None (or an empty string) is "unknown".
        top: keep this many groups, the largest by the first metric over the whole window; the rest becomes one row
            whose dimensions are all ``other`` and whose ratios and percentiles are computed from its rows.

    Returns:
        One row per group (x bucket, in `period`: the bucket's first instant, ISO 8601 with the zone's offset), then
        the metrics; ordered by period, the rest last, the first metric descending, then the groups.

    Raises:
        UnknownNameError: a metric, dimension or grain is not known.
        UsageError: an argument is of the wrong type, `top` is below 1, or a filter's value is not of its column's type.
        ColumnError: the table lacks a column that is needed.
        WindowError: `window` is not a Window, or the grain gives over 20,000 buckets.
    """
    measures, dims, grain = select_metrics(metrics), select_dimensions(by), parse_grain(every)
    check_top(top)
    rows = filter_events(events, window, where, required_columns(measures, dims))
    if dims and top is not None:
        rows = collapse_groups(rows, dims, top_groups(rows, measures[0], dims, top))
    table = aggregate_groups(rows, window, measures, dims, grain)
    order = [table[name].asc() for name in ("_key", "_rest") if name in table.columns]
    order += [
        table[measures[0].name].desc(nulls_first=False),
        *(sort_key(table[d]).asc(nulls_first=False) for d in dims),
    ]
    return table.order_by(order).drop(*(name for name in ("_key", "_rest") if name in table.columns))


def filter_events(events: ir.Table, window: Window, where: Where | None, columns: Iterable[str]) -> ir.Table:
    """The events of a window that pass a filter.

    Args:
        events: any Ibis table with the event's columns.
        window: the time that the events lie in.
        where: as in `aggregate`.
        columns: columns that the table must have, beside those that the filter reads.

    Raises:
        ColumnError: the table lacks a column; the error names the nearest one.
        UsageError, UnknownNameError, WindowError: as `aggregate`.
    """
    check_events(events)
    check_window(window)
    filters = parse_where(where)
    for name in ("timestamp", *columns, *filters):
        if name not in events.columns:
            near = nearest(name, events.columns)
            msg = f"the events table has no column {name!r}{f'; the nearest is {near!r}' if near else ''}"
            raise ColumnError(msg)
    inside = [events.timestamp >= instant(window.start, events), events.timestamp < instant(window.end, events)]
    return events.filter(*inside, *(_is_one_of(events[name], name, values) for name, values in filters.items()))


def top_groups(rows: ir.Table, metric: Metric, dims: Sequence[str], top: int) -> ir.Table:
    """The `top` groups, largest first by one metric."""
    if top < 1:
        msg = f"top must be at least 1, not {top}"
        raise UsageError(msg)
    ranked = rows.aggregate(_rank=metric.expression(rows), by=list(dims))
    order = [ranked["_rank"].desc(nulls_first=False), *(sort_key(ranked[d]).asc(nulls_first=False) for d in dims)]
    return ranked.order_by(order).limit(top).select(*dims)


def collapse_groups(rows: ir.Table, dims: Sequence[str], top: ir.Table) -> ir.Table:
    """The rows with the dimensions of all groups but the top ones set to ``other``, which `_rest` marks."""
    marked = top.rename({f"_top_{d}": d for d in dims}).mutate(_top=True)
    joined = rows.left_join(marked, [rows[d].identical_to(marked[f"_top_{d}"]) for d in dims])
    rest = ~joined["_top"].fill_null(False)  # noqa: FBT003  # ClickHouse joins without NULL: False where none is kept
    names = {d: rest.ifelse(OTHER, joined[d].cast("string")) for d in dims}
    return joined.mutate(**names, _rest=rest).drop("_top", *(f"_top_{d}" for d in dims))


def aggregate_groups(
    rows: ir.Table, window: Window, metrics: Sequence[Metric], dims: Sequence[str], grain: Grain | None = None
) -> ir.Table:
    """Metrics of rows by groups (x buckets), with `_rest` beside the dimensions when the rows carry it.

    With buckets there is `period`, and `_key` to order by: ordered as texts, the two hours that share a local time in
    autumn would change places east of Greenwich.
    """
    keys = [*dims, *(["_rest"] if "_rest" in rows.columns else [])]
    values = {metric.name: metric.expression(rows) for metric in metrics}
    if grain:
        bucket = bucket_key(rows.timestamp, window, grain).name("_bucket")
        groups = rows.aggregate(**values, _n=rows.count(), by=[*keys, bucket])
        table = fill_buckets(groups, rows, window, grain, keys)
        empty, missing = table["_n"].isnull(), None
        if joins_with_zeros(rows):
            empty, missing = table["_n"].fill_null(0) == 0, ibis.null()
        final = {m.name: _finish(table[m.name], m, empty, table["_seconds"], missing) for m in metrics}
        return table.select("_key", "period", *keys, **final)
    seconds = ibis.literal(window.seconds, "float64")
    if keys:  # only groups with events have a row
        table, empty = rows.aggregate(**values, by=keys), None
    else:
        table = rows.aggregate(**values, _n=rows.count())
        empty = table["_n"] == 0
    return table.select(*keys, **{m.name: _finish(table[m.name], m, empty, seconds) for m in metrics})


def required_columns(metrics: Iterable[Metric], dims: Iterable[str]) -> list[str]:
    """The event's columns that metrics and dimensions read."""
    return list(dict.fromkeys((*(column for metric in metrics for column in metric.needs), *dims)))


def _finish(
    value: ir.Value,
    metric: Metric,
    empty: ir.BooleanValue | None,
    seconds: ir.FloatingValue,
    missing: ir.Scalar | None = None,
) -> ir.Value:
    """A metric's last step: its value where there are no events, and the division by the time that has passed.

    Args:
        value: its aggregate.
        metric: which metric.
        empty: whether there are no events; None: there are.
        seconds: how long the window or the bucket has lasted.
        missing: the value of a metric that is not additive where there are no events; None: its aggregate.
    """
    without_events = 0 if metric.additive else missing
    if empty is not None and without_events is not None:
        value = empty.ifelse(without_events, value)
    return value.cast("float64") / seconds.nullif(0) if metric.per_second else value


def _is_one_of(column: ir.Column, name: str, values: Sequence[str | int | None]) -> ir.BooleanValue:
    known = [_convert(column, name, value) for value in values if value not in {None, ""}]
    tests = [column.isin(known)] if known else []
    if len(known) < len(values):
        tests.append(column.isnull())
    return ibis.or_(*tests)


def _convert(column: ir.Column, name: str, value: object) -> object:
    """A filter's value in the type of its column."""
    if not column.type().is_integer():
        return str(value)
    try:
        return int(str(value))
    except ValueError:
        msg = f"where {name}={value!r}: {name} is a whole number, for example {name}=200"
        raise UsageError(msg) from None
