"""Copies one store into another, of any kind: day by day, each event once; compares the sums of both at the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from hanzo_reports.errors import UsageError
from hanzo_reports.events import COLUMNS
from hanzo_reports.metrics.dialect import fingerprint, instant
from hanzo_reports.store.duckdb_session import open_load_session
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path

    import ibis

    from hanzo_reports.store.base import Store

COMMIT_ROWS = 1_000_000  # of one commit, unless a single day has more
BATCH_ROWS = 50_000  # in memory at once
SAMPLE = "sample"  # the source of synthetic events, which stay marked as such
EXACT_COLUMNS = tuple(column.name for column in COLUMNS if column.unit and column.dtype != "float64")

Sums = dict[str, int | Decimal | None]


@dataclass(frozen=True)
class CopyResult:
    """The outcome of a copy.

    Args:
        accepted: events that are new in the target.
        skipped: events of days that were equal in both stores before.
        source: the number of events and of quarantined rows, and the sum of each exact column, in the source.
        target: the same of the target.
        days: the days whose counts or sums still differ.
    """

    accepted: int
    skipped: int
    source: Sums
    target: Sums
    days: list[date]

    @property
    def equal(self) -> bool:
        """Whether the counts and sums of both stores are equal, day by day."""
        return not self.days and self.source == self.target


def copy_store(
    source: Store, target: Store, *, now: datetime, progress: Callable[[float], None] = lambda _: None
) -> CopyResult:
    """Add all events and quarantined rows of a store to another; a copy that was stopped can simply be run again.

    Days whose counts, sums and ids are equal already are skipped; of the others the target leaves out known events.

    Args:
        source: the store to copy from.
        target: the store to copy to; other events that it has are reported as differences.
        now: the instant of the copy, with a UTC offset.
        progress: called with the share that is complete, 0 to 1.

    Raises:
        UsageError: both are the same store.
        StoreError: one of them cannot be read or written; what is copied so far stays.
    """
    if source.url == target.url:
        msg = f"{source.url} is given twice; copy from one store to another"
        raise UsageError(msg)
    source_days, target_days = _sum_days(source), _sum_days(target)
    remaining = {day: sums for day, sums in source_days.items() if target_days.get(day) != sums}
    total, copied_rows, accepted = sum(map(_count_events, remaining.values())), 0, 0
    synthetic = any(load.get("source") == SAMPLE for load in source.loads())
    for first, last, rows in _group_days(source_days, remaining):
        load = {
            "load_id": uuid4().hex, "source": SAMPLE if synthetic else "copy", "paths": source.url, "at": iso(now),
            "read": rows, "quarantined": 0, "repeated": 0,
        }  # fmt: skip
        accepted += _copy_days(source, target, first, last, load)
        copied_rows += rows
        progress(copied_rows / total)
    with target.scratch() as temporary:
        target.add_to_quarantine(_stage(source.quarantine(), temporary))
    target_days = _sum_days(target)
    days = sorted(source_days.keys() | target_days.keys())
    differing = [day for day in days if source_days.get(day) != target_days.get(day)]
    skipped = sum(_count_events(sums) for day, sums in source_days.items() if day not in remaining)
    return CopyResult(accepted, skipped, _sum_up(source_days, source), _sum_up(target_days, target), differing)


def _copy_days(source: Store, target: Store, first: date, last: date, load: dict[str, Any]) -> int:
    """Add the events of some days to the target in one commit; return how many were new."""
    start, end = _midnight(first), _midnight(last + timedelta(days=1))
    events = source.events(start, end)
    chosen = events.filter(events.timestamp >= instant(start, events), events.timestamp < instant(end, events))
    with target.scratch() as temporary:
        return target.append(_stage(chosen, temporary), load).accepted


def _stage(rows: ibis.Table, temporary: Path) -> ibis.Table:
    """Move rows of any engine to a DuckDB connection with bounded memory, through a file."""
    path = temporary / "rows.parquet"
    schema = pa.schema([field.with_nullable(nullable=True) for field in rows.schema().to_pyarrow()])
    with rows.to_pyarrow_batches(chunk_size=BATCH_ROWS) as batches, pq.ParquetWriter(path, schema) as file:
        for batch in batches:
            file.write_table(pa.Table.from_batches([batch]).cast(schema))
    return open_load_session(temporary).read_parquet(path)


def _sum_days(store: Store) -> dict[date, Sums]:
    """Return for each UTC day the number of events, the exact sums, and a sum over the fingerprints of the ids."""
    events = store.events()
    day = events.timestamp.date()
    sums = {name: events[name].sum() for name in EXACT_COLUMNS} | {"ids": fingerprint(events.event_id).sum()}
    rows = events.aggregate(events=events.count(), **sums, by={"day": day}).to_pyarrow().to_pylist()
    return {row.pop("day"): row for row in rows}


def _sum_up(days: dict[date, Sums], store: Store) -> Sums:
    """Return the sums of all days, and the number of quarantined rows."""
    total: Sums = {"events": sum(map(_count_events, days.values()))}
    for name in EXACT_COLUMNS:
        known = [value for sums in days.values() if (value := sums[name]) is not None]
        total[name] = sum(known) if known else None
    total["quarantined"] = store.quarantine().count().to_pyarrow().as_py()
    return total


def _group_days(days: dict[date, Sums], remaining: Container[date]) -> Iterator[tuple[date, date, int]]:
    """Yield groups of consecutive remaining days, in order: the first and the last day, and the number of events.

    A day between two of them that need not be copied ends a group, which would include it.
    """
    group: list[date] = []
    rows = 0
    for day in sorted(days):
        if group and (day not in remaining or rows + _count_events(days[day]) > COMMIT_ROWS):
            yield group[0], group[-1], rows
            group, rows = [], 0
        if day in remaining:
            group.append(day)
            rows += _count_events(days[day])
    if group:
        yield group[0], group[-1], rows


def _count_events(sums: Sums) -> int:
    return int(sums["events"] or 0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
