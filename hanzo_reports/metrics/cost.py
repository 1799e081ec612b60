"""Cost: what it cost, what a unit of it cost, and for how much no price is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanzo_reports.metrics.query import Where, aggregate

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

    from hanzo_reports.units import Grain
    from hanzo_reports.window import Window

METRICS = ("cost", "requests", "cost_per_request", "cost_per_million_tokens", "unpriced_requests")


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

    Arguments and answer as `aggregate` says.

    Source: FOCUS BilledCost; FinOps unit economics.
    """
    return aggregate(events, window, metrics, by=by, every=every, where=where, top=top)
