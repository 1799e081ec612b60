"""Rows of one load that share an id: which of them stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
from ibis.util import gen_name

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

PLACE = ["_file", "_row"]


def drop_repeats(rows: ibis.Table, version_column: str | None) -> ibis.Table:
    """Drop the rows whose id another row of the load has: the first one stays, by file and row.

    Args:
        rows: events with `_file` and `_row`.
        version_column: where it is given, the row with the highest value there stays.
    """
    con: Backend = rows.get_backend()
    repeated = rows.group_by("event_id").having(rows.count() > 1).select("event_id")
    copies = rows.semi_join(repeated, "event_id")
    order = [copies[name] for name in PLACE]
    if version_column:
        order.insert(0, copies[version_column].desc(nulls_first=False))
    rank = ibis.row_number().over(group_by="event_id", order_by=order)
    ranked = copies.select(*PLACE, rank=rank)
    later = con.create_table(gen_name("later"), ranked.filter(ranked["rank"] > 0).select(PLACE), temp=True)
    return rows.anti_join(later, PLACE)
