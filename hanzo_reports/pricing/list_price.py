"""Reported costs beside list prices: what a log says that a request cost, over what the price list says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from hanzo_reports.metrics.dialect import engine
from hanzo_reports.pricing.cost_split import parts
from hanzo_reports.pricing.price_list import price

if TYPE_CHECKING:
    import ibis.expr.types as ir


def listed(events: ir.Table) -> ir.Table:
    """Stored events with the columns of `beside_list`; their own cost stays as it was taken.

    Args:
        events: columns of the event, on any engine; on DuckDB by the prices' own decimals, elsewhere by floats.
    """
    if engine(events) != "duckdb":
        own = parts(events).rename(_list_cost="list_cost")
    else:
        kept = {"_cost": events["cost"], "_cost_source": events["cost_source"]}
        priced = price(events.mutate(**kept))
        own = priced.mutate(cost=priced["_cost"], cost_source=priced["_cost_source"])
    return beside_list(own).select(*events.columns, "cost_difference", "cost_to_list")


def beside_list(priced: ir.Table) -> ir.Table:
    """Rows with `cost_difference` (USD) and `cost_to_list` (a quotient), where a cost is reported and a price known.

    Args:
        priced: what `hanzo_reports.pricing.price_list.price` gives.
    """
    cost, listed = priced["cost"], priced["_list_cost"]
    reported = priced["cost_source"] == "reported"
    ratio = cost.cast("float64") / listed.cast("float64").nullif(0)
    return priced.mutate(
        cost_difference=ibis.ifelse(reported, cost - listed, ibis.null("decimal(18, 9)")),
        cost_to_list=ibis.ifelse(reported, ratio, ibis.null("float64")),
    )
