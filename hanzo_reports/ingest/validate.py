"""Validates the rows of a load: separates those to add, each id once, from those for the quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.errors import UnreadableError
from hanzo_reports.events import SCHEMA
from hanzo_reports.ingest.expectations import REJECTED_COLUMNS, check_expectations, failing_rows
from hanzo_reports.ingest.price import FLAGS
from hanzo_reports.ingest.redaction import clean_rejected
from hanzo_reports.ingest.repeats import drop_repeats
from hanzo_reports.ingest.staging import stage_rows
from hanzo_reports.store.base import RowSummary, summary_aggregates

if TYPE_CHECKING:
    from pathlib import Path

    from hanzo_reports.ingest.expectations import GuardResult
    from hanzo_reports.ingest.plan import LoadPlan
    from hanzo_reports.quality.verdict import Verdict
    from hanzo_reports.store.base import Store


@dataclass(frozen=True)
class RowCounts:
    """The rows of a load, counted.

    Args:
        read: rows.
        rejected: rows with a reason, which cannot be events.
        has_repeats: whether some rows without a reason share an id. Ids are compared by a 64-bit hash, so once in a
            great while this is True though none do.
        good: the rows without a reason.
    """

    read: int
    rejected: int
    has_repeats: bool
    good: RowSummary


@dataclass(frozen=True)
class ValidatedRows:
    """The rows of a load, separated; read == len(passed) + repeated + quarantined.

    Args:
        passed: the rows to add, each id once.
        rejected: the rows for the quarantine, in `REJECTED_COLUMNS`.
        read: how many rows the files have.
        quarantined: how many are rejected.
        repeated: how many are dropped because another row of the load has their id.
        summary: of the rows to add; None: it is not known without another look.
        verdict: what the guard says; None: it had no suite, or no new row, to check.
    """

    passed: ibis.Table
    rejected: ibis.Table
    read: int
    quarantined: int
    repeated: int
    summary: RowSummary | None
    verdict: Verdict | None


def validate_rows(store: Store, rows: ibis.Table, plan: LoadPlan, folder: Path) -> ValidatedRows:
    """Separate the rows of a load: by their reasons, by their ids, and by the guard.

    Args:
        store: where they are to go; it keeps the guard's verdict.
        rows: what `price.price_rows` returns.
        plan: the load.
        folder: for a temporary copy of the rows, where they are looked at several times.

    Raises:
        UnreadableError: the files have no rows.
        QualityError: the rows as a whole cannot be trusted.
    """
    counts = count_rows(rows)
    if not counts.read:
        msg = f"{plan.label}: no rows; give a file that has some"
        raise UnreadableError(msg)
    if plan.cheap_to_reread and (counts.rejected or counts.has_repeats):
        rows = stage_rows(rows, folder / "priced.parquet")
    rejected = rows.filter(rows["_reason"].notnull()).select(*REJECTED_COLUMNS)
    if counts.rejected:
        rejected = stage_rows(clean_rejected(rejected), folder / "rejected.parquet")
    good = rows.filter(rows["_reason"].isnull()) if counts.rejected else rows
    copies = good if counts.has_repeats else None
    row_count = counts.good.rows
    if copies is not None:
        good = drop_repeats(good, plan.source.version_column)
        row_count = count(good)
    passed, rejected_count, verdict = good, counts.rejected, None
    if plan.suite and row_count:
        guarded = check_expectations(store, good, row_count, plan, copies)
        verdict = guarded.verdict
        failing = verdict.quarantined if verdict else 0
        if verdict and (failing or guarded.known is None):
            passed = _select_passed(good, guarded, plan, repeated=bool(failing) and copies is not None)
        if verdict and failing:
            row_count = count(passed) if copies is not None else row_count - failing
            rejected = rejected.union(failing_rows(verdict, plan))
            rejected_count += failing
    dropped = counts.has_repeats or rejected_count > counts.rejected
    return ValidatedRows(
        passed=passed,
        rejected=rejected,
        read=counts.read,
        quarantined=rejected_count,
        repeated=counts.read - rejected_count - row_count,
        summary=None if dropped else counts.good,
        verdict=verdict,
    )


def count_rows(rows: ibis.Table) -> RowCounts:
    """Count the rows in one scan; in a second one, where bad rows could hide or feign that ids repeat.

    Args:
        rows: events with `_reason`, and the flags.
    """
    rejected, ids, every = _aggregate(rows)
    if not rejected:
        return RowCounts(every.rows, rejected, ids < every.rows, every)
    _, ids, good = _aggregate(rows.filter(rows["_reason"].isnull()))
    return RowCounts(every.rows, rejected, ids < good.rows, good)


def count(rows: ibis.Table) -> int:
    """The number of rows."""
    return int(rows.count().to_pyarrow().as_py())


def _aggregate(rows: ibis.Table) -> tuple[int, int, RowSummary]:
    """Rows with a reason, different ids, and the summary of all rows.

    A rejected row's time is left out: it could be one that no datetime can hold.
    """
    rows = rows.mutate(timestamp=rows["_reason"].isnull().ifelse(rows["timestamp"], ibis.null()))
    aggregates = {
        "rejected": rows["_reason"].notnull().sum().fill_null(0),
        "ids": rows["event_id"].hash().nunique(),
        **summary_aggregates(rows, "timestamp", FLAGS),
    }
    rejected, ids, *values = rows.aggregate(**aggregates).to_pyarrow().to_pylist()[0].values()
    return rejected, ids, RowSummary.from_values(values, FLAGS)


def _select_passed(rows: ibis.Table, guarded: GuardResult, plan: LoadPlan, *, repeated: bool) -> ibis.Table:
    """The rows that pass the guard, each id once, and those that the store has."""
    columns = [*SCHEMA, *FLAGS]
    passed: ibis.Table = guarded.verdict.clean  # type: ignore[union-attr]  # there is one
    if repeated:
        passed = drop_repeats(passed, plan.source.version_column)
    if guarded.known is None:
        return passed
    return passed.select(columns).union(rows.semi_join(guarded.known, "event_id").select(columns))
