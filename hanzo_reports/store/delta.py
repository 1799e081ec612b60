"""The embedded default: a folder with Delta Lake files, read and written by DuckDB in each process of its own.

::

    <folder>/
      store.json     the version of this layout; written last, so a folder without it is not a store
      events/        Delta table, partitioned by `day`, the UTC date of `timestamp`
      quarantine/    Delta table of the rows that no load accepted, partitioned by the day they were put there
      quality/       verdicts of checks
      versions.json  the newest version of both tables, by which a lost commit is noticed
      state.db       SQLite: everything that is not an event
      state.json     which tables of the state have rows, by which a lost state is noticed
      write.lock     locked during commits: one writer at a time
      scratch/       temporary files of running loads
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from hanzo_reports import atomic_write
from hanzo_reports.errors import ReportsError, StoreBusyError, StoreError, StoreVersionError
from hanzo_reports.events import SCHEMA
from hanzo_reports.store.base import QUARANTINE, AppendResult, RowSummary
from hanzo_reports.store.delta_files import DataFile, DeltaFiles
from hanzo_reports.store.delta_log import VersionRecord
from hanzo_reports.store.duckdb_session import connect_ibis, open_load_session, sql_literal
from hanzo_reports.store.scratch import remove_abandoned, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import duckdb
    import ibis
    import sqlalchemy
    from ibis.backends.duckdb import Backend

FORMAT = 1
LOCK_TIMEOUT = 600.0  # seconds
KEEP_HOURS = 24
RELEASE_BATCH = 10_000  # rows of the quarantine that one statement names
_PARTS = {"store.json", "events", "quarantine", "versions.json", "state.db", "state.json", "write.lock", "scratch"}


class DeltaStore:
    """A folder of events; see the module's docstring for its layout.

    Args:
        folder: an existing store; `open_delta` creates or checks one.
    """

    def __init__(self, folder: Path) -> None:
        self.url = str(folder)
        self.folder = folder
        record = VersionRecord(folder / "versions.json")
        self._events = DeltaFiles(folder / "events", SCHEMA, "event_id", "timestamp", record)
        self._quarantine = DeltaFiles(folder / "quarantine", QUARANTINE, "quarantine_id", "quarantined_at", record)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def create(self) -> None:
        """Create the store's files, unless they exist; `store.json` last."""
        for files in (self._events, self._quarantine):
            files.create()
            files.log.record_newest_version()
        atomic_write.write_text(self.folder / "store.json", json.dumps({"format": FORMAT}) + "\n")

    @property
    def version(self) -> str:
        """The version of the events' Delta table."""
        return str(self._events.load_table().version())

    @cached_property
    def state(self) -> sqlalchemy.Engine:
        """SQLite, in a file of the same folder."""
        from hanzo_reports.state import database  # noqa: PLC0415  # SQLAlchemy is slow to load, and most questions need none
        from hanzo_reports.state.inventory import FileInventory  # noqa: PLC0415

        path = self.folder / "state.db"
        engine = database.open_sqlite_state(path, FileInventory(self.folder / "state.json", str(path)))
        database.close_with(self, engine)
        return engine

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:
        """Return the events of the newest version, without the files of days outside `start` and `end`."""
        return self._events.read(self._connect(), self._list_event_files(start, end))

    def find_known(self, ids: ibis.Table) -> ibis.Table | None:
        """Find the ids that the store has among some; see `Store.find_known`."""
        return self._events.find_known(ids, self._events.list_files(self._events.load_table()))

    def append(self, rows: ibis.Table, load: Mapping[str, object], summary: RowSummary | None = None) -> AppendResult:
        """Add good rows in one commit; see `Store.append`."""
        with self._lock_for_writing(self._events) as writer:
            return self._events.append(rows, load, writer, summary)

    def quarantine(self) -> ibis.Table:
        """Return the quarantined rows."""
        return self._quarantine.read(self._connect(), self._list_quarantine_files())

    def add_to_quarantine(self, rows: ibis.Table) -> None:
        """Add rows to the quarantine; see `Store.add_to_quarantine`."""
        with self._lock_for_writing(self._quarantine) as writer:
            self._quarantine.append(rows, {}, writer)

    def release(self, ids: Sequence[str]) -> None:
        """Remove rows from the quarantine."""
        with self._lock_for_writing(self._quarantine):
            for start in range(0, len(ids), RELEASE_BATCH):
                names = ", ".join(map(sql_literal, ids[start : start + RELEASE_BATCH]))
                self._quarantine.load_table().delete(f"quarantine_id IN ({names})")

    def loads(self) -> list[dict[str, Any]]:
        """Return how each commit describes itself, newest first, as far back as Delta keeps its log (30 days)."""
        history = self._events.load_table().history()
        return [{**entry["load"], "version": str(entry["version"])} for entry in history if entry.get("load")]

    def scratch(self) -> AbstractContextManager[Path]:
        """Create a folder for a load's temporary files, on the store's own disk."""
        return scratch(self.folder / "scratch")

    def compact(self) -> int:
        """Merge days of several small files; remove the files of versions older than a day."""
        merged = 0
        for files in (self._events, self._quarantine):
            with self._lock_for_writing(files) as writer, self.scratch() as temporary:
                merged += files.compact(open_load_session(temporary), writer, KEEP_HOURS)
        return merged

    def _list_event_files(self, start: datetime | None, end: datetime | None) -> list[DataFile]:
        first = (start or datetime.min.replace(tzinfo=UTC)).astimezone(UTC).date()
        last = (end or datetime.max.replace(tzinfo=UTC)).astimezone(UTC).date()
        files = self._events.list_files(self._events.load_table())
        return [file for file in files if first <= file.day <= last]

    def _list_quarantine_files(self) -> list[DataFile]:
        return self._quarantine.list_files(self._quarantine.load_table())

    @cached_property
    def _root(self) -> duckdb.DuckDBPyConnection:
        import duckdb  # noqa: PLC0415  # a version and its loads are read without an engine

        return duckdb.connect()

    def _connect(self) -> Backend:
        return connect_ibis(self._root.cursor())

    @contextmanager
    def _lock_for_writing(self, files: DeltaFiles) -> Iterator[str]:
        """Hold the write lock and yield a name for new files; uncommitted ones are removed, now or by the next writer.

        The newest version is recorded at the end of each writer's turn. A writer that cannot, or is killed before,
        has committed all the same; the next one records its version as well.
        """
        with lock_folder(self.folder):
            remove_abandoned(self.folder / "scratch", self._discard)
            with self.scratch() as own:
                try:
                    yield own.name
                except BaseException:
                    files.discard(own.name)
                    raise
            with suppress(ReportsError):
                files.log.record_newest_version()

    def _discard(self, writer: str) -> None:
        self._events.discard(writer)
        self._quarantine.discard(writer)


def open_delta(folder: Path, *, create: bool) -> DeltaStore:
    """Open the store in a folder, created first if requested; see `store.open`."""
    if create and not (folder / "store.json").exists():
        _create(folder)
    _check_format(folder)
    return DeltaStore(folder)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Wait for the write lock, at most ten minutes, and hold it."""
    try:
        with FileLock(folder / "write.lock", timeout=LOCK_TIMEOUT):
            yield
    except Timeout:
        msg = f"another process has been writing to {folder} for {LOCK_TIMEOUT / 60:.0f} minutes; try again later"
        raise StoreBusyError(msg) from None


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted({path.name for path in folder.iterdir()} - _PARTS)
        if foreign:
            msg = f"{folder} contains other files ({foreign[0]}); give a new or an empty folder for the store"
            raise StoreError(msg)
        with lock_folder(folder):
            DeltaStore(folder).create()
    except OSError as error:
        msg = f"No store can be created in {folder}: {error.strerror or error}; give a folder that can be written to"
        raise StoreError(msg) from error


def _check_format(folder: Path) -> None:
    path = folder / "store.json"
    problem = ""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        msg = f"No store at {folder}. Create one with `hanzo-reports init` or `ingest`, or pass another --store"
        raise StoreError(msg) from None
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError:
        problem = "is not JSON"
    else:
        version = content.get("format") if isinstance(content, dict) else None
        if type(version) is int and version > FORMAT:
            msg = f"{folder} has store format {version}, this package supports {FORMAT}; upgrade hanzo-reports"
            raise StoreVersionError(msg)
        if type(version) is not int or version != FORMAT:
            problem = "is not the store file of hanzo-reports"
    if problem:
        msg = (
            f'{path} {problem}; it should hold {{"format": {FORMAT}}}. If {folder} has the folder events of a store, '
            "restore the file or write that into it; otherwise give the folder of a store"
        )
        raise StoreError(msg)
