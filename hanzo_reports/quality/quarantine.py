"""The quarantine looked at: which rows, why, how many; nothing here changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    from collections.abc import Sequence

GUARDED = "guard "  # how the reasons of the guard begin; the rest of the row's text is the event as JSON
_VALUE = r"'[^']*'"


def matching(
    rows: ibis.Table, *, load: str = "", source: str = "", reason: str = "", ids: Sequence[str] = ()
) -> ibis.Table:
    """The quarantined rows of a load (or of those whose id begins so), of a source, with a text in their reason."""
    if load:
        rows = rows.filter(rows["load_id"].startswith(load))
    if source:
        rows = rows.filter(rows["source"] == source)
    if reason:
        rows = rows.filter(rows["reason"].contains(reason))
    if ids:
        rows = rows.filter(ibis.or_(*(rows["quarantine_id"].startswith(one) for one in ids)))
    return rows


def by_reason(rows: ibis.Table) -> ibis.Table:
    """Reasons counted; a row may have several.

    Args:
        rows: the columns of the quarantine.

    Returns:
        One row per reason, without the values in it, and source: `reason`, `source`, `rows`, `first`, `last` (when they
        were put there); the most rows first.
    """
    each = rows.select("source", "quarantined_at", reason=rows["reason"].split("; ").unnest())
    each = each.mutate(reason=each["reason"].re_replace(_VALUE, "…"))
    counted = each.group_by("reason", "source").aggregate(
        rows=ibis._.count(), first=ibis._.quarantined_at.min(), last=ibis._.quarantined_at.max()
    )
    return counted.order_by(ibis.desc("rows"), "reason", "source")
