"""Mapped rows -> events with a cost, and a flag for each count that a load reports over its accepted rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from hanzo_reports.events import TIMESTAMP
from hanzo_reports.ingest.event_texts import SHORTENED
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.pricing.price_list import price_events

if TYPE_CHECKING:
    from datetime import datetime

COUNTED = {"unpriced": "unpriced_requests", "price_differences": "price_differences"}  # flag -> metric
FLAGS = (*COUNTED, SHORTENED)


def price_rows(mapped: ibis.Table, now: datetime) -> ibis.Table:
    """Price the rows, and flag what is counted over the accepted ones.

    Args:
        mapped: what `map.map_rows` returns.
        now: when they are accepted.

    Returns:
        The rows with all columns of the event, `list_cost`, and the boolean columns `FLAGS`, which the catalogue's
        metrics of the same meaning define.
    """
    priced = price_events(mapped)
    flags = {flag: CATALOG[metric].counts(priced) for flag, metric in COUNTED.items()}  # type: ignore[misc]
    return priced.mutate(ingested_at=ibis.literal(now, TIMESTAMP), **flags)
