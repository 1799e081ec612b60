"""Validated rows -> the store and the quarantine, and what the load did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.events import SCHEMA
from hanzo_reports.ingest.price import FLAGS
from hanzo_reports.ingest.repeats import PLACE
from hanzo_reports.store.base import QUARANTINE
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from hanzo_reports.ingest.plan import LoadPlan
    from hanzo_reports.ingest.validate import ValidatedRows
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.store.base import Store

HEADER_MARK, ROW_DIGITS = "-", 55  # in an id, what stands before a header's hash, and the digits before that


@dataclass(frozen=True)
class LoadResult:
    """What one load did; read == accepted + duplicates + quarantined.

    Args:
        load_id: its name, also on its quarantined rows.
        source: the source it was read as.
        files: the number of files.
        read: rows in them.
        accepted: rows that are new in the store.
        duplicates: rows whose id the store, or an earlier row of the load, has.
        quarantined: rows that cannot be events, or that fail the guard; the quarantine has their reasons.
        unpriced: accepted rows that the metric `unpriced_requests` counts.
        price_differences: accepted rows that the metric `price_differences` counts.
        shortened: accepted rows in which a text of more than 1,000 characters was cut.
        version: the store's version after the load.
        reasons: how often each reason for quarantine was given; a row may have several.
        skipped: what the folders hold that was not read, and why, a line each.
        verdict: what the guard says; None: it had no suite, or no new row, to check.
        failed_rows: of rows that came out of the quarantine, the numbers of those that stay there.
    """

    load_id: str
    source: str
    files: int
    read: int
    accepted: int
    duplicates: int
    quarantined: int
    unpriced: int
    price_differences: int
    shortened: int
    version: str
    reasons: dict[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    verdict: Verdict | None = None
    failed_rows: tuple[int, ...] = ()


def commit_rows(store: Store, rows: ValidatedRows, plan: LoadPlan) -> LoadResult:
    """Commit the rows of a load: the rejected ones to the quarantine, then the others to the store, all or none.

    Args:
        store: where they go; rows whose id it has are left out and counted.
        rows: what `validate.validate_rows` returns.
        plan: the load.

    Raises:
        StoreError: the store cannot be written; nothing but the quarantine has changed.
    """
    if rows.quarantined and not plan.from_quarantine:
        store.add_to_quarantine(_quarantine_rows(rows.rejected, plan))
    record = {
        "load_id": plan.load_id, "source": plan.source_name, "paths": plan.label, "at": iso(plan.now),
        "read": rows.read, "quarantined": rows.quarantined, "repeated": rows.repeated,
    }  # fmt: skip
    appended = store.append(rows.passed.select(*SCHEMA, *FLAGS), record, rows.summary)
    return LoadResult(
        load_id=plan.load_id,
        source=plan.source_name,
        files=len(plan.files),
        read=rows.read,
        accepted=appended.accepted,
        duplicates=rows.read - rows.quarantined - appended.accepted,
        quarantined=rows.quarantined,
        **{flag: appended.flagged[flag] for flag in FLAGS},
        version=appended.version,
        reasons=_count_reasons(rows.rejected) if rows.quarantined else {},
        skipped=plan.skipped,
        verdict=rows.verdict,
        failed_rows=_row_numbers(rows.rejected) if plan.from_quarantine and rows.quarantined else (),
    )


def _quarantine_rows(rejected: ibis.Table, plan: LoadPlan) -> ibis.Table:
    """The rejected rows as the quarantine keeps them.

    A row's id is made of the source, its text and its number among equal texts of the load, so that the same row is
    quarantined once however often its file is loaded, and two equal rows of a file are two. A row of a CSV file has
    the hash of the file's first line at the end of its id, since the row means nothing under another one.
    """
    text = rejected["_raw"].fill_null("")
    number = ibis.row_number().over(group_by=text, order_by=[rejected[name] for name in PLACE])
    identity = ibis.literal(plan.source_name) + "\n" + number.cast("string") + "\n" + text
    digest = identity.hexdigest("sha256")
    with_header = digest.substr(0, ROW_DIGITS) + HEADER_MARK + rejected["_header"]
    return rejected.select(
        quarantine_id=with_header.coalesce(digest),
        load_id=ibis.literal(plan.load_id),
        source=ibis.literal(plan.source_name),
        file=rejected["_file"],
        row=rejected["_row"],
        reason=rejected["_reason"],
        raw=rejected["_raw"],
        quarantined_at=ibis.literal(plan.now),
    ).select(list(QUARANTINE))


def _count_reasons(rejected: ibis.Table) -> dict[str, int]:
    """How often each reason was given, most frequent first; a row may have several."""
    each = rejected.select(reason=rejected["_reason"].split("; ").unnest())
    counted = each.group_by("reason").aggregate(rows=each.count()).order_by(ibis.desc("rows"), "reason")
    return {row["reason"]: row["rows"] for row in counted.to_pyarrow().to_pylist()}


def _row_numbers(rejected: ibis.Table) -> tuple[int, ...]:
    return tuple(rejected.select("_row").to_pyarrow()["_row"].to_pylist())
