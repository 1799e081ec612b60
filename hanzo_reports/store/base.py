"""The store protocol: where events live, whatever keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hanzo_reports.events import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import ibis
    import ibis.expr.types as ir
    import sqlalchemy

QUARANTINE: dict[str, str] = {
    "quarantine_id": "!string",
    "load_id": "!string",
    "source": "!string",
    "file": "string",
    "row": "int64",
    "reason": "!string",
    "raw": "string",
    "quarantined_at": f"!{TIMESTAMP}",
}


@dataclass(frozen=True)
class AppendResult:
    """What one append did.

    Args:
        accepted: rows that are new and now in the store.
        duplicates: rows left out because the store held their id.
        version: the store's version after it.
        flagged: for each flag column of the rows, how many of the accepted ones carried it.
    """

    accepted: int
    duplicates: int
    version: str
    flagged: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RowSummary:
    """What a look over rows finds.

    Args:
        rows: how many there are.
        first: the earliest of their instants; None where there are none.
        last: the latest.
        flagged: for each flag column, how many carry it.
    """

    rows: int
    first: datetime | None
    last: datetime | None
    flagged: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Sequence[Any], flags: Sequence[str]) -> RowSummary:
        """The answer to the aggregates that `measured` asks for, in their order."""
        rows, first, last, *flagged = values
        return cls(rows, first, last, dict(zip(flags, flagged, strict=True)))


def summary_aggregates(rows: ibis.Table, time: str, flags: Sequence[str]) -> dict[str, ir.Value]:
    """The aggregates that make up a `RowSummary`: of a column of instants, and of flags."""
    sums = {flag: rows[flag].sum().fill_null(0) for flag in flags}
    return {"rows": rows.count(), "first": rows[time].min(), "last": rows[time].max(), **sums}


class Store(Protocol):
    """Where events live."""

    @property
    def url(self) -> str:
        """The address it was opened with."""

    @property
    def version(self) -> str:
        """A text that changes with each commit of events."""

    @property
    def state(self) -> sqlalchemy.Engine:
        """The database of everything that is not an event, made on first use."""

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:
        """The events of the newest version, on a connection of their own.

        Args:
            start: a hint: events before this instant are not wanted, so their files need not be read. The answer may
                still hold some of them: filter as well.
            end: a hint: events from this instant on are not wanted.

        Returns:
            One row per event: exactly the columns of `events.SCHEMA`, no order.
        """

    def append(self, rows: ibis.Table, load: Mapping[str, object], seen: RowSummary | None = None) -> AppendResult:
        """Good rows added in one commit, all of them or none; rows whose id is known are left out and counted.

        Args:
            rows: the columns of `events.SCHEMA`, ids unique, on a DuckDB connection. Further columns are flags:
                booleans that are counted over the accepted rows and not kept.
            load: what the commit says about itself; see `loads`.
            seen: what a look over the rows has found, so that a store need not look again where all of them are new.

        Raises:
            StoreError: a required column holds NULL, or the store is damaged; nothing has changed.
            StoreBusyError: other writers did not finish in time; nothing has changed.
        """

    def quarantine(self, rows: ibis.Table | None = None) -> ibis.Table:
        """The rows that no load accepted, with their reason; given rows are added first, each once by its id.

        Args:
            rows: the columns of `QUARANTINE`, ids unique, on a DuckDB connection.
        """

    def release(self, ids: Sequence[str]) -> None:
        """Rows taken out of the quarantine, by their `quarantine_id`; those that are not there are no error."""

    def loads(self) -> list[dict[str, Any]]:
        """What each commit of events says about itself, newest first."""

    def scratch(self) -> AbstractContextManager[Path]:
        """A folder for a load's temporary files; removed at its end, or by a later load if this process dies."""

    def compact(self) -> int:
        """Small files merged into large ones, sorted by time, and old ones removed; the number merged."""
