"""Health: errors, availability, latency and saturation against their default thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanzo_reports.metrics.query import aggregate

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.units import Grain
    from hanzo_reports.window import Window

METRICS = (
    "requests", "error_rate", "availability", "rate_limited_rate",
    "latency_p50", "latency_p95", "latency_p99", "saturation",
)  # fmt: skip


def health(  # noqa: PLR0913
    events: ir.Table,
    window: Window,
    metrics: Iterable[str] = METRICS,
    *,
    by: Iterable[str] = (),
    every: Grain | str | None = None,
    where: Where | None = None,
    top: int | None = None,
) -> ir.Table:
    """Service level indicators; a ratio with a zero denominator is NULL, percentiles are exact.

    Args, Returns and Raises are those of `hanzo_reports.metrics.query.aggregate`; the catalogue has each metric's
    default threshold.

    Source: Google SRE book, chapter 4 (service level objectives) and 6 (the four golden signals).
    """
    return aggregate(events, window, metrics, by=by, every=every, where=where, top=top)
