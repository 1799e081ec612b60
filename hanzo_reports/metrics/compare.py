"""A window compared with the previous period: what moved, and which groups moved it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from hanzo_reports.errors import UsageError
from hanzo_reports.metrics.arguments import check_metric, check_top, check_window, select_dimensions
from hanzo_reports.metrics.catalog import CATALOG, select_metrics
from hanzo_reports.metrics.dialect import AMOUNT, sort_key
from hanzo_reports.metrics.metric import divide
from hanzo_reports.metrics.query import (
    OTHER,
    aggregate_groups,
    collapse_groups,
    filter_events,
    required_columns,
    top_groups,
)
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import ibis.expr.types as ir

    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.metrics.metric import Metric
    from hanzo_reports.window import Window


def comparison(  # noqa: PLR0913
    events: ir.Table,
    window: Window,
    metrics: Iterable[str],
    *,
    by: Iterable[str] = (),
    where: Where | None = None,
    top: int | None = None,
) -> ir.Table:
    """Metrics of a window beside those of the previous period.

    Args:
        events: any Ibis table with the event's columns.
        window: the time that the events lie in; it is compared with `window.previous()`.
        metrics: names of the catalogue.
        by: dimensions to group by; a group of either window has a row.
        where: as in `aggregate`.
        top: keep the largest groups of this window; the others, of both windows, become ``other``.

    Returns:
        One row per group: its dimensions, then for each metric ``m``, ``m_previous`` and ``m_change`` (their
        difference, NULL when one of them is unknown); the rest last, the first metric descending.

    Raises:
        As `aggregate`.
    """
    measures, dims = select_metrics(metrics), select_dimensions(by)
    check_window(window)
    check_top(top)
    columns = required_columns(measures, dims)
    current = filter_events(events, window, where, columns)
    largest = top_groups(current, measures[0], dims, top) if dims and top is not None else None
    previous = filter_events(events, window.previous(), where, columns)
    both = _summarise(current, window, measures, dims, largest).mutate(_now=1)
    both = both.union(_summarise(previous, window.previous(), measures, dims, largest).mutate(_now=0))
    keys = [*dims, *(["_rest"] if largest is not None else [])]
    sides = {f"{m.name}{tail}": _value_of_side(both, m, n) for m in measures for tail, n in (("", 1), ("_previous", 0))}
    table = both.aggregate(**sides, by=keys)
    table = table.mutate(**{f"{m.name}_change": table[m.name] - table[f"{m.name}_previous"] for m in measures})
    order = [table["_rest"].asc()] if largest is not None else []
    order += [
        table[measures[0].name].desc(nulls_first=False),
        *(sort_key(table[d]).asc(nulls_first=False) for d in dims),
    ]
    columns = [f"{m.name}{tail}" for m in measures for tail in ("", "_previous", "_change")]
    return table.order_by(order).select(*dims, *columns)


def movers(  # noqa: PLR0913
    events: ir.Table,
    window: Window,
    metric: str,
    by: Iterable[str],
    *,
    where: Where | None = None,
    top: int = 5,
) -> ir.Table:
    """The groups that moved a metric most since the previous period; their contributions add up to the difference.

    For a sum, a group's contribution is its own difference. For a ratio it is the difference of the group's
    numerator over the whole denominator of each window, so that mix and rate are both in it.

    Args:
        events: any Ibis table with the event's columns.
        window: the time that the events lie in; it is compared with `window.previous()`.
        metric: an additive metric or a ratio; percentiles and distinct counts have no parts that add up.
        by: the dimensions that make a group.
        where: as in `aggregate`.
        top: how many groups; all others together are the last row, ``other``.

    Returns:
        One row per group: its dimensions, then `current`, `previous` and `contribution` in the metric's unit, the
        largest movement first.

    Raises:
        UsageError: the metric has no parts that add up, no dimension is given, or `top` is below 1.
    """
    check_metric(metric)
    measure, dims = select_metrics([metric])[-1], select_dimensions(by)
    check_window(window)
    check_top(top)
    if not (measure.additive or measure.numerator):
        possible = ", ".join(m.name for m in CATALOG.values() if m.additive or m.numerator)
        msg = f"{metric!r} has no parts that add up, so its change cannot be split by group; take one of: {possible}"
        raise UsageError(msg)
    if not dims or top < 1:
        msg = "give at least one dimension" if not dims else f"top must be at least 1, not {top}"
        raise UsageError(msg)
    sides = [_parts(events, w, measure, dims, where).mutate(_now=n) for n, w in ((1, window), (0, window.previous()))]
    both = sides[0].union(sides[1])
    current, previous = (both["_part"].sum(where=both["_now"] == n) for n in (1, 0))
    groups = both.aggregate(current=current, previous=previous, by=dims)
    zero = ibis.literal(0).cast(groups.current.type())
    groups = groups.mutate(current=groups.current.fill_null(zero), previous=groups.previous.fill_null(zero))
    groups = groups.mutate(_move=(groups.current - groups.previous).abs())
    order = [groups["_move"].desc(), *(sort_key(groups[d]).asc(nulls_first=False) for d in dims)]
    groups = groups.mutate(_place=ibis.row_number().over(order_by=order))
    rest = groups["_place"] >= top
    groups = groups.mutate(_rest=rest, **{d: rest.ifelse(OTHER, groups[d].cast("string")) for d in dims})
    table = groups.aggregate(
        current=groups.current.sum(),
        previous=groups.previous.sum(),
        _place=groups["_place"].min(),
        by=[*dims, "_rest"],
    )
    if measure.unit is Unit.USD:
        table = table.mutate(current=table.current.cast(AMOUNT), previous=table.previous.cast(AMOUNT))
    table = table.mutate(contribution=table.current - table.previous)
    return table.order_by("_place").select(*dims, "current", "previous", "contribution")


def _summarise(
    rows: ir.Table, window: Window, metrics: Sequence[Metric], dims: Sequence[str], largest: ir.Table | None
) -> ir.Table:
    """One side of a comparison: a row per group, those that are not among the largest as one."""
    return aggregate_groups(rows if largest is None else collapse_groups(rows, dims, largest), window, metrics, dims)


def _value_of_side(both: ir.Table, metric: Metric, now: int) -> ir.Value:
    """The one value of a side; a side without the group counts 0 where the metric is additive."""
    value = (both["_now"] == now).ifelse(both[metric.name], ibis.null()).max()
    if not metric.additive:
        return value
    present = ibis.ifelse(both["_now"] == now, 1, 0).sum() > 0
    return present.ifelse(value, 0)


def _parts(events: ir.Table, window: Window, metric: Metric, dims: Sequence[str], where: Where | None) -> ir.Table:
    """Each group's part of one window's metric: parts that add up to it."""
    rows = filter_events(events, window, where, required_columns([metric], dims))
    if metric.numerator is None or metric.denominator is None:
        value = rows.aggregate(_part=metric.expression(rows), by=dims)
        if metric.per_second:
            return value.mutate(_part=value["_part"].cast("float64") / (window.seconds or None))
        return value
    groups = rows.aggregate(_above=metric.numerator(rows), _below=metric.denominator(rows), by=dims)
    whole = groups["_below"].sum().over()
    return groups.select(*dims, _part=divide(groups["_above"], whole, metric.unit))
