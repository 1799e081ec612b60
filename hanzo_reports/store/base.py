"""The protocol that every store implements, whatever database or files it uses."""

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
    """The outcome of one append.

    Args:
        accepted: rows that are new and now in the store.
        duplicates: rows left out because their id was in the store.
        version: the store's version afterwards.
        flagged: for each flag column of the rows, how many of the accepted rows have it set.
    """

    accepted: int
    duplicates: int
    version: str
    flagged: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RowSummary:
    """The number of rows, the time they span and their flags.

    Args:
        rows: how many there are.
        first: their earliest instant; None if no row has one.
        last: their latest instant.
        flagged: for each flag column, how many rows have it set.
    """

    rows: int
    first: datetime | None
    last: datetime | None
    flagged: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Sequence[Any], flags: Sequence[str]) -> RowSummary:
        """Build it from the values of `summary_aggregates`, in their order."""
        rows, first, last, *flagged = values
        return cls(rows, first, last, dict(zip(flags, flagged, strict=True)))


def summary_aggregates(rows: ibis.Table, time: str, flags: Sequence[str]) -> dict[str, ir.Value]:
    """Return the aggregates of a `RowSummary`, over a column of instants and columns of flags."""
    sums = {flag: rows[flag].sum().fill_null(0) for flag in flags}
    return {"rows": rows.count(), "first": rows[time].min(), "last": rows[time].max(), **sums}


class Store(Protocol):
    """A place for events, rows in quarantine, and the state."""

    @property
    def url(self) -> str:
        """The address it was opened with, without a password."""

    @property
    def version(self) -> str:
        """A text that changes with each commit of events."""

    @property
    def state(self) -> sqlalchemy.Engine:
        """The database of everything that is not an event, created on first use."""

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:
        """Return the events of the newest version, on a connection of their own.

        Args:
            start: a hint that events before this instant are not needed, so that their files are not read. The result
                may still contain some of them: filter as well.
            end: a hint that events from this instant on are not needed.

        Returns:
            One row per event: exactly the columns of `events.SCHEMA`, no order.
        """

    def find_known(self, ids: ibis.Table) -> ibis.Table | None:
        """Find the ids that the store has among some.

        Args:
            ids: one column, `event_id`, on a DuckDB connection.

        Returns:
            The known ones, each once, on the same connection; None: none is known.
        """

    def append(self, rows: ibis.Table, load: Mapping[str, object], summary: RowSummary | None = None) -> AppendResult:
        """Add good rows in one commit, all of them or none; rows whose id is known are left out and counted.

        Args:
            rows: the columns of `events.SCHEMA`, ids unique, on a DuckDB connection. Further columns are flags:
                booleans that are counted over the accepted rows and not stored.
            load: how the commit describes itself; see `loads`.
            summary: that of the rows, if it is known, so that a store need not compute it when all of them are new.

        Raises:
            StoreError: a required column holds NULL, or the store is damaged; nothing has changed.
            StoreBusyError: other writers did not finish in time; nothing has changed.
        """

    def quarantine(self) -> ibis.Table:
        """Return the rows that no load accepted, with their reason.

        Returns:
            One row per rejected row: the columns of `QUARANTINE`, no order.
        """

    def add_to_quarantine(self, rows: ibis.Table) -> None:
        """Add rows to the quarantine in one commit; rows whose id is there already are left out.

        Args:
            rows: the columns of `QUARANTINE`, ids unique, on a DuckDB connection.
        """

    def release(self, ids: Sequence[str]) -> None:
        """Remove rows from the quarantine, by their `quarantine_id`; unknown ids are not an error."""

    def loads(self) -> list[dict[str, Any]]:
        """Return how each commit of events describes itself, newest first."""

    def scratch(self) -> AbstractContextManager[Path]:
        """Create a folder for a load's temporary files, removed at its end, or by a later load if this process dies."""

    def compact(self) -> int:
        """Merge small files into large ones, sorted by time, and remove old ones; return the number merged."""
