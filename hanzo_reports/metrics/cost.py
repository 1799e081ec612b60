"""Cost: total cost, unit costs, and the requests without a known price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanzo_reports.metrics.arguments import select_dimensions
from hanzo_reports.metrics.query import aggregate, filter_events

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

    from hanzo_reports.metrics.arguments import Where
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
    """Billed cost and unit costs in USD; an unknown cost is NULL, never 0, and `unpriced_requests` counts it.

    Args, Returns and Raises are those of `hanzo_reports.metrics.query.aggregate`. With groups or buckets, `cost` is
    followed by `cost_share`, the share of the whole window's cost, 0 to 1; the shares add up to 1. The metrics of
    `SPLIT` need the columns that `hanzo_reports.pricing.cost_split` adds; a workspace adds them itself.

    Source: FOCUS BilledCost; FinOps unit economics.
    """
    by = select_dimensions(by)
    table = aggregate(events, window, metrics, by=by, every=every, where=where, top=top)
    if "cost" not in table.columns or not (by or every):
        return table
    whole = filter_events(events, window, where, ["cost"]).cost.sum().as_scalar().cast("float64").nullif(0)
    place = table.columns.index("cost") + 1
    with_share = table.mutate(cost_share=table.cost.cast("float64") / whole)
    return with_share.select(*table.columns[:place], "cost_share", *table.columns[place:])
