"""One store copied into another, whatever keeps them: day by day, each event once, both sides summed up at the end."""

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

PIECE = 1_000_000  # rows of one commit, unless a single day has more
CHUNK = 50_000  # rows held at once
SAMPLE = "sample"  # the source of made-up events, which stay marked as such
EXACT = tuple(column.name for column in COLUMNS if column.unit and column.dtype != "float64")

Sums = dict[str, int | Decimal | None]


@dataclass(frozen=True)
class CopyResult:
    """What a copy did.

    Args:
        accepted: events that are new in the target.
        skipped: events of days that were equal on both sides before.
        source: events, quarantined rows, and the sum of each exact column of the source.
        target: those of the target.
        days: the days whose counts or sums differ now.
    """

    accepted: int
    skipped: int
    source: Sums
    target: Sums
    days: list[date]

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same, as far as counts and sums tell, day by day."""
        return not self.days and self.source == self.target


def copy_store(
    source: Store, target: Store, *, now: datetime, progress: Callable[[float], None] = lambda _: None
) -> CopyResult:
    """All events and quarantined rows of a store added to another; a copy that was stopped can just be done again.

    Days whose counts, sums and ids are equal already are skipped; of the others the target leaves out what it knows.

    Args:
        source: where from.
        target: where to; it may hold other events, which then differ.
        now: when; with a UTC offset.
        progress: called with the share done, 0 to 1.

    Raises:
        UsageError: both are the same store.
        StoreError: one of them cannot be read or written; what is copied so far stays.
    """
    if source.url == target.url:
        msg = f"{source.url} is given twice; copy from one store to another"
        raise UsageError(msg)
    wanted, held = _days(source), _days(target)
    left = {day: sums for day, sums in wanted.items() if held.get(day) != sums}
    total, done, accepted = sum(map(_rows, left.values())), 0, 0
    made_up = any(load.get("source") == SAMPLE for load in source.loads())
    for first, last, rows in _pieces(wanted, left):
        said = {
            "load_id": uuid4().hex, "source": SAMPLE if made_up else "copy", "paths": source.url, "at": iso(now),
            "read": rows, "quarantined": 0, "repeated": 0,
        }  # fmt: skip
        accepted += _copy_days(source, target, first, last, said)
        done += rows
        progress(done / total)
    rejected = source.quarantine()
    with target.scratch() as temporary:
        target.quarantine(_staged(rejected, temporary))
    now_held = _days(target)
    differing = sorted(day for day in wanted.keys() | now_held.keys() if wanted.get(day) != now_held.get(day))
    skipped = sum(_rows(sums) for day, sums in wanted.items() if day not in left)
    return CopyResult(accepted, skipped, _total(wanted, source), _total(now_held, target), differing)


def _copy_days(source: Store, target: Store, first: date, last: date, said: dict[str, Any]) -> int:
    """The events of some days added to the target in one commit; how many were new."""
    start, end = _midnight(first), _midnight(last + timedelta(days=1))
    events = source.events(start, end)
    chosen = events.filter(events.timestamp >= instant(start, events), events.timestamp < instant(end, events))
    with target.scratch() as temporary:
        return target.append(_staged(chosen, temporary), said).accepted


def _staged(rows: ibis.Table, temporary: Path) -> ibis.Table:
    """Rows of any engine on a DuckDB connection with bounded memory, by way of a file."""
    path = temporary / "rows.parquet"
    schema = pa.schema([field.with_nullable(nullable=True) for field in rows.schema().to_pyarrow()])
    with rows.to_pyarrow_batches(chunk_size=CHUNK) as batches, pq.ParquetWriter(path, schema) as file:
        for batch in batches:
            file.write_table(pa.Table.from_batches([batch]).cast(schema))
    return open_load_session(temporary).read_parquet(path)


def _days(store: Store) -> dict[date, Sums]:
    """Events, exact sums, and a sum that tells their ids, of each UTC day."""
    events = store.events()
    day = events.timestamp.date()
    sums = {name: events[name].sum() for name in EXACT} | {"ids": fingerprint(events.event_id).sum()}
    found = events.aggregate(events=events.count(), **sums, by={"day": day}).to_pyarrow().to_pylist()
    return {row.pop("day"): row for row in found}


def _total(days: dict[date, Sums], store: Store) -> Sums:
    """The sums of all days, and the quarantined rows."""
    total: Sums = {"events": sum(map(_rows, days.values()))}
    for name in EXACT:
        known = [value for sums in days.values() if (value := sums[name]) is not None]
        total[name] = sum(known) if known else None
    total["quarantined"] = store.quarantine().count().to_pyarrow().as_py()
    return total


def _pieces(days: dict[date, Sums], left: Container[date]) -> Iterator[tuple[date, date, int]]:
    """Those days that are left, in order, bundled: the first and the last of each bundle, and its rows.

    A day between two of them that is not left ends a bundle: it would be copied along.
    """
    bundle: list[date] = []
    rows = 0
    for day in sorted(days):
        if bundle and (day not in left or rows + _rows(days[day]) > PIECE):
            yield bundle[0], bundle[-1], rows
            bundle, rows = [], 0
        if day in left:
            bundle.append(day)
            rows += _rows(days[day])
    if bundle:
        yield bundle[0], bundle[-1], rows


def _rows(sums: Sums) -> int:
    return int(sums["events"] or 0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
