"""Reported costs beside list prices: what a log states that a request cost, against what the price list says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from hanzo_reports.metrics.catalog import PRICE_TOLERANCE, is_computed, price_deviation
from hanzo_reports.metrics.dialect import AMOUNT, engine
from hanzo_reports.pricing.cost_split import split_costs
from hanzo_reports.pricing.price_list import price_events

if TYPE_CHECKING:
    import ibis.expr.types as ir

_ROUNDING = 1e-9  # of quotients near 1; far more than floats need


def compare_with_list(events: ir.Table) -> ir.Table:
    """Add the columns of `add_list_difference` to stored events; their own cost stays as it is.

    Args:
        events: columns of the event, on any engine; on DuckDB compared with the list's own decimals, elsewhere with
            floats rounded to nine places.
    """
    if engine(events) != "duckdb":
        priced = split_costs(events)
    else:
        own = {"_cost": events["cost"], "_cost_source": events["cost_source"]}
        priced = price_events(events.mutate(**own))
        priced = priced.mutate(cost=priced["_cost"], cost_source=priced["_cost_source"])
    return add_list_difference(priced).select(*events.columns, "cost_difference", "cost_to_list")


def add_list_difference(priced: ir.Table) -> ir.Table:
    """Add how a stated cost compares with its list price, where both are known; NULL for a computed cost.

    Args:
        priced: rows with `cost`, `cost_source` and `list_cost`, as `price_events` returns them.

    Returns:
        The rows with `cost_difference` (decimal, USD; above 0: dearer than the list) and `cost_to_list` (float64, a
        quotient: 1 is the list price).
    """
    cost, list_cost = priced["cost"], priced["list_cost"]
    stated = ~is_computed(priced)
    ratio = cost.cast("float64") / list_cost.cast("float64").nullif(0)
    # A float may miss the edge of the tolerance by its last digit; there the decimals decide, as they do in the metric.
    tolerance = float(PRICE_TOLERANCE)
    at_edge = ((ratio - 1).abs() - tolerance).abs() < _ROUNDING
    edge = ibis.ifelse(cost > list_cost, 1 + tolerance, 1 - tolerance)
    exact = ibis.ifelse(price_deviation(priced) == list_cost.abs().cast(AMOUNT), edge, ratio)
    ratio = ibis.ifelse(at_edge, exact, ratio)
    return priced.mutate(
        cost_difference=ibis.ifelse(stated, cost - list_cost, ibis.null("decimal(18, 9)")),
        cost_to_list=ibis.ifelse(stated, ratio, ibis.null("float64")),
    )
