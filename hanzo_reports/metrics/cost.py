"""Cost: what it cost, what a unit of it cost, and for how much no price is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanzo_reports.metrics.query import Where, aggregate, filter_events

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

    from hanzo_reports.units import Grain
    from hanzo_reports.window import Window

METRICS = ("cost", "requests", "cost_per_request", "cost_per_million_tokens", "unpriced_requests")
PARTS = ("input_cost", "output_cost", "cache_read_cost", "cache_write_cost", "unsplit_cost")
BY_MODEL = ("cost", *PARTS, "cache_savings", *METRICS[1:])
DIFFERENCES = ("cost", "list_cost", "cost_over_list", "price_differences", "requests", "unpriced_share")
SETS = {"differences": DIFFERENCES}  # names that stand for several metrics on the command line
SPLIT = frozenset({*PARTS, "cache_savings", "list_cost", "cost_over_list", "price_differences"})


def costs(  # noqa: PLR0913
    events: ir.Table,
    window: Window,
    metrics: Iterable[str] = METRICS,
    *,
    by: Iterable[str] = (),
    every: Grain | str | None = None,
    where: Where | None = None,
    top: int | None = None,
) -> ir.Table:
    """Billed cost and unit costs in USD; a cost that is not known is NULL, never 0, and counted beside.

    Arguments and answer as `aggregate` says. Behind `cost`, where there are groups or buckets, stands `cost_share`,
    the share of the whole window's cost, 0 to 1; all of them add up to 1. The metrics of `SPLIT` need the columns that
    `hanzo_reports.pricing.cost_split` adds; a workspace does so by itself.

    Source: FOCUS BilledCost; FinOps unit economics.
    """
    by = list(by)
    table = aggregate(events, window, metrics, by=by, every=every, where=where, top=top)
    if "cost" not in table.columns or not (by or every):
        return table
    whole = filter_events(events, window, where, ["cost"]).cost.sum().as_scalar().cast("float64").nullif(0)
    place = table.columns.index("cost") + 1
    shared = table.mutate(cost_share=table.cost.cast("float64") / whole)
    return shared.select(*table.columns[:place], "cost_share", *table.columns[place:])
