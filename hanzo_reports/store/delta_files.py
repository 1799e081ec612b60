"""One Delta table, partitioned by UTC day, whose Parquet files DuckDB writes and reads."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from hanzo_reports.errors import StoreBusyError, StoreError
from hanzo_reports.store.base import AppendResult, RowSummary, summary_aggregates
from hanzo_reports.store.delta_log import FILE_COUNT, REPAIR, DeltaLog, VersionRecord
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis
    from ibis.backends.duckdb import Backend

COMMIT_ATTEMPTS = 10
COMPACT_BELOW_BYTES = 128 * 2**20
_COLUMN_MAPPING_VERSION = 2  # the reader version with one feature only: files whose columns have other names
_READABLE_FEATURES = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}  # reader features that change no row here
MAX_SORTED_ROWS = 500_000  # sorting that many costs almost nothing
MAX_UNSORTED_RANGE = timedelta(days=31)  # an open file for each day takes memory; sorted rows need one at a time
_KNOWN_KEYS_TABLE = "known_ids"
# lz4_raw is read and written a tenth faster than the default, and row groups of half the default's rows are written
# another tenth faster. Parquet's second version would be a quarter faster still, but Spark cannot read its floats.
_OPTIONS = (
    "FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE 61440, PARTITION_BY (day), OVERWRITE_OR_IGNORE, RETURN_STATS"
)


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of the table.

    Args:
        path: its path inside the table's folder.
        size: in bytes.
        rows: number of rows.
        day: the UTC day of all of them.
    """

    path: str
    size: int
    rows: int
    day: date


class DeltaFiles:
    """One Delta table, partitioned by UTC day.

    Args:
        folder: where it is.
        schema: its columns and their Ibis types.
        key: the column that is unique over the whole table.
        time: the column whose UTC day is the partition.
        record: where the newest version is recorded.
    """

    def __init__(self, folder: Path, schema: dict[str, str], key: str, time: str, record: VersionRecord) -> None:
        self.folder = folder
        self.schema = schema
        self.log = DeltaLog(folder, record)
        self._key = key
        self._time = time

    def create(self) -> None:
        """Create the empty table, unless it exists."""
        DeltaTable.create(self.folder, self._delta_schema(), mode="ignore", partition_by=["day"])

    def load_table(self) -> DeltaTable:
        """Load the newest version.

        Raises:
            StoreError: its log is damaged, another tool has added features that are not supported here, or it is a
                table of something else.
        """
        recorded = self.log.recorded_version()
        try:
            table = DeltaTable(self.folder)
        except (DeltaError, OSError) as error:
            raise self.log.explain(error) from error
        self.log.check(table.version(), recorded)
        protocol = table.protocol()
        mapped = protocol.min_reader_version == _COLUMN_MAPPING_VERSION
        features = ["columnMapping"] if mapped else protocol.reader_features or []
        if unsupported := sorted(set(features) - _READABLE_FEATURES):
            msg = (
                f"{self.folder}: another tool has given this Delta table features that are not supported here "
                f"({', '.join(unsupported)}). Drop them there (ALTER TABLE ... DROP FEATURE), or restore a backup"
            )
            raise StoreError(msg)
        columns = {field.name for field in table.schema().fields}
        missing = [name for name in (*self.schema, "day") if name not in columns]
        if missing or table.metadata().partition_columns != ["day"]:
            problem = f"lacks the column {missing[0]}" if missing else "is not partitioned by day"
            msg = f"{self.folder} is not a table of this store: it {problem}. Restore the folder from a backup"
            raise StoreError(msg)
        return table

    def list_files(self, table: DeltaTable) -> list[DataFile]:
        """List the files of a version.

        Raises:
            StoreError: the log describes them incompletely.
        """
        import pyarrow as pa  # noqa: PLC0415  # as in `read`

        try:
            stream = table.get_add_actions(flatten=True)
        except DeltaError as error:
            raise self.log.explain(error) from error
        actions = pa.RecordBatchReader.from_stream(stream).read_all()  # pa.table would load pandas
        if not actions.num_rows:
            return []
        columns = [actions[name].to_pylist() for name in ("path", "size_bytes", "num_records", "partition.day")]
        return [DataFile(*values) for values in zip(*columns, strict=True)]

    def resolve_paths(self, files: Iterable[DataFile]) -> list[str]:
        """Return the paths of some files; there may be thousands, so they are texts.

        Raises:
            StoreError: one is missing or does not have the size that the log says.
        """
        paths = []
        prefix = f"{self.folder}{os.sep}"
        for file in files:
            path = prefix + file.path
            try:
                size = os.stat(path).st_size  # noqa: PTH116  # as above
            except OSError as error:
                problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            else:
                problem = f"has {size:,} of {file.size:,} bytes" if size != file.size else ""
            if problem:
                msg = f"{self.folder} is damaged: {path} {problem}. Restore the file from a backup; {REPAIR}"
                raise StoreError(msg)
            paths.append(path)
        return paths

    def read(self, con: Backend, files: Iterable[DataFile]) -> ibis.Table:
        """Return the rows of some files, in the table's columns."""
        import ibis  # noqa: PLC0415  # a version and its loads are read without an engine
        import ibis.expr.operations as ops  # noqa: PLC0415

        name, schema = ibis.util.gen_name(self.folder.name), ibis.schema(self.schema)
        paths = ", ".join(map(sql_literal, self.resolve_paths(files)))
        if not paths:
            return con.create_table(name, schema=schema, temp=True)
        columns = ", ".join(f'"{column}"' for column in self.schema)
        source = f"read_parquet([{paths}], hive_partitioning = false)"
        con.con.execute(f'CREATE TEMP VIEW "{name}" AS SELECT {columns} FROM {source}')  # noqa: S608  # our own names
        return ops.DatabaseTable(name=name, schema=schema, source=con).to_expr()  # con.table would ask for the schema

    def append(
        self, rows: ibis.Table, metadata: Mapping[str, object], writer: str, summary: RowSummary | None = None
    ) -> AppendResult:
        """Add rows in one commit, except those whose key is in the table; the caller holds the write lock.

        The commit requires the version that was searched for known keys. If another machine, which a file lock may not
        reach, commits in between, the search and the write are repeated.

        Args:
            rows: the table's columns, and flags: further boolean columns, counted over the accepted rows.
            metadata: how the commit describes itself.
            writer: the first part of the new files' names, by which `discard` finds them.
            summary: that of the rows, where it is known.

        Raises:
            StoreError: a required column has NULLs, or the table is damaged.
            StoreBusyError: other machines keep committing.
        """
        con: Backend = rows.get_backend()
        flags = [name for name in rows.columns if name not in self.schema]
        for _ in range(COMMIT_ATTEMPTS):
            table = self.load_table()
            new_rows, known = self._exclude_known(rows, self.list_files(table))
            new = self._summarize(new_rows, flags) if known or summary is None else summary
            if new.first is None or new.last is None:
                if new.rows:
                    msg = f"{self._time} is required, and none of {new.rows} rows has one"
                    raise StoreError(msg)
                return AppendResult(0, known, str(table.version()), new.flagged)
            typed = self._cast(new_rows)
            if new.rows <= MAX_SORTED_ROWS or new.last - new.first > MAX_UNSORTED_RANGE:
                typed = typed.order_by(self._time)
            added, accepted = self._write(con, typed, writer)
            if self._commit(table, added, [], {**metadata, "accepted": accepted, "known": known}):
                return AppendResult(accepted, known, str(table.version() + 1), new.flagged)
            self.discard(writer)
        msg = f"other machines keep writing to {self.folder}; try again later"
        raise StoreBusyError(msg)

    def compact(self, con: Backend, writer: str, keep_hours: int) -> int:
        """Rewrite days of several small files as one sorted file each; return the number of files merged.

        Args:
            con: a connection with bounded memory.
            writer: as in `append`.
            keep_hours: how long the files of older versions stay for those who still read them.
        """
        table = self.load_table()
        small: dict[date, list[DataFile]] = {}
        for file in self.list_files(table):
            if file.size < COMPACT_BELOW_BYTES:
                small.setdefault(file.day, []).append(file)
        merged = [file for files in small.values() if len(files) > 1 for file in files]
        if merged:
            added, _ = self._write(con, self.read(con, merged).order_by(self._time), writer)
            if not self._commit(table, added, merged, {}):
                self.discard(writer)
                return 0
        table = self.load_table()
        table.vacuum(keep_hours, dry_run=False, enforce_retention_duration=False)
        return len(merged)

    def discard(self, writer: str) -> None:
        """Remove the writer's files that no commit names."""
        written = list(self.folder.glob(f"day=*/*{writer}*"))
        if written:
            committed = {file.path for file in self.list_files(self.load_table())}
            for path in written:
                if path.relative_to(self.folder).as_posix() not in committed:
                    path.unlink(missing_ok=True)

    def find_known(self, rows: ibis.Table, files: list[DataFile]) -> ibis.Table | None:
        """Return the keys of rows that are in some of the files, each once; None: none is."""
        if not files:
            return None
        con: Backend = rows.get_backend()
        stored_keys = self.read(con, files).select(self._key)
        matches = stored_keys.semi_join(rows, self._key).distinct()
        known = con.create_table(f"{_KNOWN_KEYS_TABLE}_{uuid4().hex}", matches, temp=True)
        return known if known.limit(1).to_pyarrow().num_rows else None

    def _exclude_known(self, rows: ibis.Table, files: list[DataFile]) -> tuple[ibis.Table, int]:
        """Return the rows whose key is in none of the files, and how many others there are."""
        known = self.find_known(rows, files)
        if known is None:
            return rows, 0
        return rows.anti_join(known, self._key), int(known.count().to_pyarrow().as_py())

    def _cast(self, rows: ibis.Table) -> ibis.Table:
        """Return the table's columns, each in its own type."""
        import ibis  # noqa: PLC0415  # as in `read`

        types = {name: ibis.dtype(dtype).copy(nullable=True) for name, dtype in self.schema.items()}
        return rows.select(
            **{
                name: rows[name] if rows[name].type().copy(nullable=True) == dtype else rows[name].cast(dtype)
                for name, dtype in types.items()
            }
        )

    def _summarize(self, rows: ibis.Table, flags: list[str]) -> RowSummary:
        values = rows.aggregate(**summary_aggregates(rows, self._time, flags)).to_pyarrow().to_pylist()[0]
        return RowSummary.from_values(list(values.values()), flags)

    def _write(self, con: Backend, rows: ibis.Table, writer: str) -> tuple[list[AddAction], int]:
        """Write rows into files that no commit names yet; return the files and the number of rows."""
        day = f'make_timestamp(epoch_us("{self._time}"))::DATE'  # a plain cast looks up the time zone for every row
        query = f"SELECT *, {day} AS day FROM ({con.compile(rows)})"  # noqa: S608  # our own names
        options = f"{_OPTIONS}, FILENAME_PATTERN {sql_literal(f'{writer}_{{i}}')}"
        written = con.con.execute(f"COPY ({query}) TO {sql_literal(self.folder)} ({options})").fetchall()
        added = [
            self._describe_file(Path(path), size, count, {name.strip('"'): stats for name, stats in columns.items()})
            for path, count, size, _, columns, _ in written
        ]
        return added, sum(count for _, count, *_ in written)

    def _describe_file(self, path: Path, size: int, count: int, columns: Mapping[str, Mapping[str, str]]) -> AddAction:
        """Describe a written file for the commit, with the statistics that let readers skip it."""
        for name, dtype in self.schema.items():
            if dtype.startswith("!") and columns[name].get("null_count") != "0":
                msg = f"{name} is required, and {columns[name].get('null_count')} of {count} rows of a day have none"
                raise StoreError(msg)
        stats = {
            "numRecords": count,
            "minValues": {self._time: _format_instant(columns[self._time]["min"])},
            "maxValues": {self._time: _format_instant(columns[self._time]["max"])},
            "nullCount": {self._time: 0},
        }
        day = path.parent.name.removeprefix("day=")
        modified = int(path.stat().st_mtime * 1000)
        name = path.relative_to(self.folder).as_posix()
        return AddAction(name, size, {"day": day}, modified, data_change=True, stats=json.dumps(stats))

    def _commit(
        self, table: DeltaTable, added: list[AddAction], removed: list[DataFile], metadata: Mapping[str, object]
    ) -> bool:
        """Commit on top of exactly this version; return False if there is a newer one."""
        now = max(action.modification_time for action in added)
        removals = [
            RemoveAction(file.path, data_change=False, deletion_timestamp=now, size=file.size,
                         partition_values={"day": file.day.isoformat()})
            for file in removed
        ]  # fmt: skip
        for action in added:
            action.data_change = not removed
        description = {"load": dict(metadata), FILE_COUNT: len(added) + len(removals)}
        try:
            table.create_write_transaction(
                [*added, *removals],
                "append",
                self._delta_schema(),
                ["day"],
                commit_properties=CommitProperties(description, max_commit_retries=0),
            )
        except CommitFailedError:
            return False
        return True

    def _delta_schema(self) -> Schema:
        import ibis  # noqa: PLC0415  # as in `read`
        import pyarrow as pa  # noqa: PLC0415

        fields = ibis.schema(self.schema).to_pyarrow()
        return Schema.from_arrow(fields.append(pa.field("day", pa.date32(), nullable=False)))


def _format_instant(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
