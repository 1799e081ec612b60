"""Usage: how much was requested, of what, by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanzo_reports.metrics.query import aggregate

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

    from hanzo_reports.metrics.arguments import Where
    from hanzo_reports.units import Grain
    from hanzo_reports.window import Window

METRICS = ("requests", "tokens", "cost")


def usage(  # noqa: PLR0913
    events: ir.Table,
    window: Window,
    metrics: Iterable[str] = METRICS,
    *,
    by: Iterable[str] = (),
    every: Grain | str | None = None,
    where: Where | None = None,
    top: int | None = None,
) -> ir.Table:
    """Requests, tokens and cost (or any other metrics) by group and time.

    Args, Returns and Raises are those of `hanzo_reports.metrics.query.aggregate`.

    >>> import ibis, datetime as dt, pyarrow as pa
    >>> from hanzo_reports.window import Window
    >>> noon = dt.datetime(2025, 6, 1, 12, tzinfo=dt.timezone.utc)
    >>> rows = ibis.memtable(pa.table({"timestamp": [noon, noon], "model": ["a", "b"], "input_tokens": [3, 4]}))
    >>> window = Window.parse("2025-06-01..2025-06-01", now=noon)
    >>> usage(rows, window, ["requests", "input_tokens"], by=["model"]).to_pyarrow().to_pylist()
    [{'model': 'a', 'requests': 1, 'input_tokens': 3}, {'model': 'b', 'requests': 1, 'input_tokens': 4}]
    """
    return aggregate(events, window, metrics, by=by, every=every, where=where, top=top)
