"""Questions about the quarantine: which rows, why, and how many. Nothing here changes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = ("quarantine_id", "source", "file", "row", "reason", "raw", "quarantined_at", "load_id")
GUARD_PREFIX = "guard "  # how each reason of the guard begins; the text of such a row is the event as JSON
_REASON = re.compile(rf"{GUARD_PREFIX}(?:\((?P<path>.+?\.ya?ml)\) )?(?P<check>[^:]+)(?::|$)")
_VALUE = r"'[^']*'"


def filter_quarantine(
    rows: ibis.Table, *, load: str = "", source: str = "", reason: str = "", ids: Sequence[str] = ()
) -> ibis.Table:
    """Some rows of the quarantine.

    Args:
        rows: the columns of the quarantine.
        load: only rows of this load; the start of its id.
        source: only rows of this source.
        reason: only rows with this text in their reason.
        ids: only these rows; the starts of their ids.
    """
    if load:
        rows = rows.filter(rows["load_id"].startswith(load))
    if source:
        rows = rows.filter(rows["source"] == source)
    if reason:
        rows = rows.filter(rows["reason"].contains(reason))
    if ids:
        rows = rows.filter(ibis.or_(*(rows["quarantine_id"].startswith(one) for one in ids)))
    return rows


def newest_rows(rows: ibis.Table, limit: int) -> ibis.Table:
    """The newest rows of the quarantine, in the columns that people see."""
    newest = rows.order_by(rows["quarantined_at"].desc(), rows["file"], rows["row"])
    return newest.limit(limit).select(*COLUMNS)


def rows_in_order(rows: ibis.Table) -> ibis.Table:
    """Rows of the quarantine, the oldest first, in the columns that people see."""
    return rows.order_by("quarantined_at", "file", "row").select(*COLUMNS)


def count_reasons(rows: ibis.Table) -> ibis.Table:
    """Reasons counted; a row may have several.

    Args:
        rows: the columns of the quarantine.

    Returns:
        One row per source and reason, without the values in it: `reason`, `source`, `rows`, `first`, `last` (when they
        were quarantined); the most rows first.
    """
    each = rows.select("source", "quarantined_at", reason=rows["reason"].split("; ").unnest())
    each = each.mutate(reason=each["reason"].re_replace(_VALUE, "…"))
    counted = each.group_by("reason", "source").aggregate(
        rows=ibis._.count(), first=ibis._.quarantined_at.min(), last=ibis._.quarantined_at.max()
    )
    return counted.order_by(ibis.desc("rows"), "reason", "source")


def without_values(reason: str) -> str:
    """A reason without the values in it, so that equal faults count as one."""
    return re.sub(_VALUE, "…", reason)


def split_reason(reason: str) -> tuple[str, str]:
    """The path of the user's own suite and the id of the check in one reason of the guard, or in what is left of it.

    >>> split_reason("guard (/etc/mine.yaml) few: at most five input tokens"), split_reason("status_http")
    (('/etc/mine.yaml', 'few'), ('', 'status_http'))
    """
    match = _REASON.match(reason)
    return (match["path"] or "", match["check"].strip()) if match else ("", reason.partition(":")[0].strip())


def suite_path(reasons: str) -> str:
    """The suite that quarantined a row, where it is a file of the user's own; empty: it is not."""
    return split_reason(reasons)[0]


def failed_checks(reasons: str) -> set[str]:
    """The ids of the checks that a row fails; empty where it also has a reason that is not the guard's.

    >>> sorted(failed_checks("guard status_http: a status; guard cost_not_negative: a cost"))
    ['cost_not_negative', 'status_http']
    """
    parts = reasons.split("; ")
    return {split_reason(part)[1] for part in parts} if all(part.startswith(GUARD_PREFIX) for part in parts) else set()
