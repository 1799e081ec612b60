"""The embedded default: a folder with Delta Lake files, read and written by DuckDB in each process of its own.

::

    <folder>/
      store.json    the format's version; the last file made, so a folder without it is no store
      events/       Delta table, partitioned by `day`, the UTC date of `timestamp`
      quarantine/   Delta table of the rows that no load accepted, partitioned by the day they were put there
      state.db      SQLite: everything that is not an event
      write.lock    held while something is committed: one writer at a time
      scratch/      temporary files of running loads
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from hanzo_reports.errors import StoreBusyError, StoreError, StoreVersionError
from hanzo_reports.events import SCHEMA
from hanzo_reports.store.base import QUARANTINE, AppendResult, RowSummary
from hanzo_reports.store.delta_files import DeltaFiles
from hanzo_reports.store.duckdb_session import connect_ibis, open_load_session, sql_literal
from hanzo_reports.store.scratch import scratch, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import duckdb
    import ibis
    import sqlalchemy
    from ibis.backends.duckdb import Backend

FORMAT = 1
PATIENCE = 600.0
KEEP_HOURS = 24
RELEASED = 10_000  # rows of the quarantine named at once
_PARTS = {"store.json", "events", "quarantine", "state.db", "write.lock", "scratch"}


class DeltaStore:
    """A folder of events; see the module's text for its layout.

    Args:
        folder: an existing lake; `open_delta` makes or checks one.
    """

    def __init__(self, folder: Path) -> None:
        self.url = str(folder)
        self.folder = folder
        self._events = DeltaFiles(folder / "events", SCHEMA, "event_id", "timestamp")
        self._quarantine = DeltaFiles(folder / "quarantine", QUARANTINE, "quarantine_id", "quarantined_at")

    def create(self) -> None:
        """The lake's files, unless they are there already; `store.json` last."""
        self._events.create()
        self._quarantine.create()
        made = self.folder / "scratch" / "store.json"
        made.parent.mkdir(exist_ok=True)
        made.write_text(json.dumps({"format": FORMAT}) + "\n", encoding="utf-8")
        made.replace(self.folder / "store.json")

    @property
    def version(self) -> str:
        """The Delta table's version."""
        return str(self._events.table().version())

    @cached_property
    def state(self) -> sqlalchemy.Engine:
        """SQLite, in a file of the same folder."""
        from hanzo_reports.state import database as state  # noqa: PLC0415  # SQLAlchemy is slow to load, and asking needs none

        return state.sqlite(self.folder / "state.db")

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:
        """The events of the newest version; `start` and `end` leave out the files of days outside them."""
        first = (start or datetime.min.replace(tzinfo=UTC)).astimezone(UTC).date()
        last = (end or datetime.max.replace(tzinfo=UTC)).astimezone(UTC).date()
        files = [file for file in self._events.files(self._events.table()) if first <= file.day <= last]
        return self._events.read(self._reader(), files)

    def append(self, rows: ibis.Table, load: Mapping[str, object], seen: RowSummary | None = None) -> AppendResult:
        """Good rows added in one commit; see `Store.append`."""
        with self._writing(self._events) as writer:
            return self._events.append(rows, load, writer, seen)

    def quarantine(self, rows: ibis.Table | None = None) -> ibis.Table:
        """The quarantined rows; given ones are added first."""
        if rows is not None:
            with self._writing(self._quarantine) as writer:
                self._quarantine.append(rows, {}, writer)
        return self._quarantine.read(self._reader(), self._quarantine.files(self._quarantine.table()))

    def release(self, ids: Sequence[str]) -> None:
        """Rows taken out of the quarantine."""
        with self._writing(self._quarantine):
            for start in range(0, len(ids), RELEASED):
                named = ", ".join(sql_literal(one) for one in ids[start : start + RELEASED])
                self._quarantine.table().delete(f"quarantine_id IN ({named})")

    def loads(self) -> list[dict[str, Any]]:
        """What each commit of events says about itself, newest first, as far back as Delta keeps its log (30 days)."""
        history = self._events.table().history()
        return [{**entry["load"], "version": str(entry["version"])} for entry in history if entry.get("load")]

    def scratch(self) -> AbstractContextManager[Path]:
        """A folder for a load's temporary files, on the lake's own disk."""
        return scratch(self.folder / "scratch")

    def compact(self) -> int:
        """Days of several small files merged; files of versions older than a day removed."""
        merged = 0
        for files in (self._events, self._quarantine):
            with self._writing(files) as writer, self.scratch() as temporary:
                merged += files.compact(open_load_session(temporary), writer, KEEP_HOURS)
        return merged

    @cached_property
    def _root(self) -> duckdb.DuckDBPyConnection:
        import duckdb  # noqa: PLC0415  # a version and its loads are told without an engine

        return duckdb.connect()

    def _reader(self) -> Backend:
        return connect_ibis(self._root.cursor())

    @contextmanager
    def _writing(self, files: DeltaFiles) -> Iterator[str]:
        """The write lock, and a name for new files; those that stay uncommitted are removed, now or by the next."""
        with locked(self.folder):
            sweep(self.folder / "scratch", self._bury)
            with self.scratch() as own:
                try:
                    yield own.name
                except BaseException:
                    files.discard(own.name)
                    raise

    def _bury(self, writer: str) -> None:
        self._events.discard(writer)
        self._quarantine.discard(writer)


def open_delta(folder: Path, *, create: bool) -> DeltaStore:
    """The lake in a folder, made there first if asked; see `store.open`."""
    if create and not (folder / "store.json").exists():
        _make(folder)
    _check(folder)
    return DeltaStore(folder)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The one writer's turn; others wait, and give up after ten minutes."""
    try:
        with FileLock(folder / "write.lock", timeout=PATIENCE):
            yield
    except Timeout:
        msg = f"another process has been writing to {folder} for {PATIENCE / 60:.0f} minutes; try again later"
        raise StoreBusyError(msg) from None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted({path.name for path in folder.iterdir()} - _PARTS)
        if foreign:
            msg = f"{folder} holds other things ({foreign[0]}); give a new or an empty folder for the store"
            raise StoreError(msg)
        with locked(folder):
            lake = DeltaStore(folder)
            lake.create()
    except OSError as error:
        msg = f"no store can be made in {folder}: {error.strerror or error}; give a folder that can be written to"
        raise StoreError(msg) from error


def _check(folder: Path) -> None:
    try:
        made = json.loads((folder / "store.json").read_text(encoding="utf-8"))["format"]
    except (FileNotFoundError, NotADirectoryError):
        msg = f"{folder} is no store; load events into it first (hanzo-reports ingest), or give another --store"
        raise StoreError(msg) from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        msg = f'{folder / "store.json"} cannot be read: {error}; it should hold {{"format": {FORMAT}}}'
        raise StoreError(msg) from error
    if made != FORMAT:
        msg = f"{folder} has store format {made}, this package knows {FORMAT}; upgrade hanzo-reports to read it"
        raise StoreVersionError(msg)
