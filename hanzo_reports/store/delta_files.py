"""One Delta table, partitioned by UTC day, whose Parquet files DuckDB writes and reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from hanzo_reports.errors import StoreBusyError, StoreError
from hanzo_reports.store.base import AppendResult, RowSummary, summary_aggregates
from hanzo_reports.store.duckdb_session import sql_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis
    from ibis.backends.duckdb import Backend

ATTEMPTS = 10
LARGE = 128 * 2**20
_MAPPED = 2  # the reader version that knows one feature only: columns of other names in the files
_READ = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}  # Delta's reader features that change no row of ours
SORTED_ROWS = 500_000  # sorting these costs nothing to speak of
UNSORTED_SPAN = timedelta(days=31)  # one open file a day takes memory; sorted, days come one after another
_KNOWN = "known_ids"
# lz4_raw is read and written a tenth faster than the default, and row groups of half the default's rows are written
# another tenth faster. Parquet's second version would be a quarter faster still, but Spark cannot read its floats.
_OPTIONS = (
    "FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE 61440, PARTITION_BY (day), OVERWRITE_OR_IGNORE, RETURN_STATS"
)


@dataclass(frozen=True)
class File:
    """One Parquet file of the table: its path inside the folder, its size in bytes, its rows and its UTC day."""

    path: str
    size: int
    rows: int
    day: date


@dataclass(frozen=True)
class DeltaFiles:
    """One Delta table, partitioned by UTC day.

    Args:
        folder: where it lives.
        schema: its columns and their Ibis types.
        key: the column that is unique over the whole table.
        time: the column whose UTC day is the partition.
    """

    folder: Path
    schema: dict[str, str]
    key: str
    time: str

    def create(self) -> None:
        """The empty table, unless it is there already."""
        DeltaTable.create(self.folder, self._delta_schema(), mode="ignore", partition_by=["day"])

    def table(self) -> DeltaTable:
        """The newest version.

        Raises:
            StoreError: its log is damaged, or names features whose files say something else than their rows.
        """
        try:
            table = DeltaTable(self.folder)
        except (DeltaError, OSError) as error:
            msg = f"{self.folder} is damaged: {error}; restore its folder _delta_log from a backup"
            raise StoreError(msg) from error
        protocol = table.protocol()
        features = ["columnMapping"] if protocol.min_reader_version == _MAPPED else protocol.reader_features or []
        if strange := sorted(set(features) - _READ):
            msg = (
                f"{self.folder}: another tool has given this Delta table features that are not read here "
                f"({', '.join(strange)}); drop them there (ALTER TABLE ... DROP FEATURE), or restore a backup"
            )
            raise StoreError(msg)
        return table

    def files(self, table: DeltaTable) -> list[File]:
        """The files of a version."""
        import pyarrow as pa  # noqa: PLC0415  # as in `read`

        actions = pa.RecordBatchReader.from_stream(
            table.get_add_actions(flatten=True)
        ).read_all()  # pa.table loads pandas
        if not actions.num_rows:
            return []
        columns = [actions[name].to_pylist() for name in ("path", "size_bytes", "num_records", "partition.day")]
        return [File(*values) for values in zip(*columns, strict=True)]

    def read(self, con: Backend, files: Iterable[File]) -> ibis.Table:
        """The rows of some files, in the table's columns."""
        import ibis  # noqa: PLC0415  # a version and its loads are told without an engine
        import ibis.expr.operations as ops  # noqa: PLC0415

        name, schema = ibis.util.gen_name(self.folder.name), ibis.schema(self.schema)
        paths = ", ".join(sql_literal(self.folder / file.path) for file in files)
        if not paths:
            return con.create_table(name, schema=schema, temp=True)
        columns = ", ".join(f'"{column}"' for column in self.schema)
        source = f"read_parquet([{paths}], hive_partitioning = false)"
        con.con.execute(f'CREATE TEMP VIEW "{name}" AS SELECT {columns} FROM {source}')  # noqa: S608  # our own names
        return ops.DatabaseTable(name=name, schema=schema, source=con).to_expr()  # con.table would ask for the schema

    def append(
        self, rows: ibis.Table, metadata: Mapping[str, object], writer: str, seen: RowSummary | None = None
    ) -> AppendResult:
        """Rows added in one commit, but for those whose key the table holds; the caller holds the write lock.

        The commit insists on the version that was searched for known keys. Should another machine, which a file lock
        may not reach, have committed in between, the search and the write are done again.

        Args:
            rows: the table's columns, and flags: further boolean columns, counted over the accepted rows.
            metadata: what the commit says about itself.
            writer: the first part of the new files' names, by which `discard` finds them.
            seen: the rows' measures, where they are known.
        """
        con: Backend = rows.get_backend()
        flags = [name for name in rows.columns if name not in self.schema]
        for _ in range(ATTEMPTS):
            table = self.table()
            fresh, known = self._unknown(con, rows, self.files(table))
            found = self._measured(fresh, flags) if known or seen is None else seen
            if found.first is None or found.last is None:
                if found.rows:
                    msg = f"{self.time} is required and none of {found.rows} rows has one"
                    raise StoreError(msg)
                return AppendResult(0, known, str(table.version()), found.flagged)
            chosen = self._typed(fresh)
            if found.rows <= SORTED_ROWS or found.last - found.first > UNSORTED_SPAN:
                chosen = chosen.order_by(self.time)
            added, accepted = self._write(con, chosen, writer)
            if self._commit(table, added, [], {**metadata, "accepted": accepted, "known": known}):
                return AppendResult(accepted, known, str(table.version() + 1), found.flagged)
            self.discard(writer)
        msg = f"other machines write to {self.folder} all the time; try again later"
        raise StoreBusyError(msg)

    def compact(self, con: Backend, writer: str, keep_hours: int) -> int:
        """Days of several small files rewritten as one sorted file; the number of files merged.

        Args:
            con: a connection with bounded memory.
            writer: as in `append`.
            keep_hours: how long the files of older versions stay for those who still read them.
        """
        table = self.table()
        small: dict[date, list[File]] = {}
        for file in self.files(table):
            if file.size < LARGE:
                small.setdefault(file.day, []).append(file)
        merged = [file for files in small.values() if len(files) > 1 for file in files]
        if merged:
            added, _ = self._write(con, self.read(con, merged).order_by(self.time), writer)
            if not self._commit(table, added, merged, {}):
                self.discard(writer)
                return 0
        table = self.table()
        table.vacuum(keep_hours, dry_run=False, enforce_retention_duration=False)
        return len(merged)

    def discard(self, writer: str) -> None:
        """The writer's files that no commit names, removed."""
        written = list(self.folder.glob(f"day=*/*{writer}*"))
        if written:
            committed = {file.path for file in self.files(self.table())}
            for path in written:
                if path.relative_to(self.folder).as_posix() not in committed:
                    path.unlink(missing_ok=True)

    def _unknown(self, con: Backend, rows: ibis.Table, files: list[File]) -> tuple[ibis.Table, int]:
        """The rows whose key is in none of the files, and how many others there are."""
        if not files:
            return rows, 0
        held = self.read(con, files).select(self.key)
        known = con.create_table(_KNOWN, held.semi_join(rows, self.key).distinct(), temp=True, overwrite=True)
        count = int(known.count().to_pyarrow().as_py())
        return (rows.anti_join(known, self.key), count) if count else (rows, 0)

    def _typed(self, rows: ibis.Table) -> ibis.Table:
        """The table's columns, each in its own type."""
        import ibis  # noqa: PLC0415  # as in `read`

        wanted = {name: ibis.dtype(dtype).copy(nullable=True) for name, dtype in self.schema.items()}
        return rows.select(
            **{
                name: rows[name] if rows[name].type().copy(nullable=True) == dtype else rows[name].cast(dtype)
                for name, dtype in wanted.items()
            }
        )

    def _measured(self, rows: ibis.Table, flags: list[str]) -> RowSummary:
        """How many rows there are, the time they span, and how many carry each flag."""
        counted = rows.aggregate(**summary_aggregates(rows, self.time, flags))
        return RowSummary.from_values(list(counted.to_pyarrow().to_pylist()[0].values()), flags)

    def _write(self, con: Backend, rows: ibis.Table, writer: str) -> tuple[list[AddAction], int]:
        """Rows written into files that no commit names yet: the files and the number of rows."""
        day = f'make_timestamp(epoch_us("{self.time}"))::DATE'  # cast as it is, a calendar would be asked for each row
        query = f"SELECT *, {day} AS day FROM ({con.compile(rows)})"  # noqa: S608  # our own names
        options = f"{_OPTIONS}, FILENAME_PATTERN {sql_literal(f'{writer}_{{i}}')}"
        written = con.con.execute(f"COPY ({query}) TO {sql_literal(self.folder)} ({options})").fetchall()
        added = [
            self._add(Path(path), size, count, {name.strip('"'): stats for name, stats in columns.items()})
            for path, count, size, _, columns, _ in written
        ]
        return added, sum(count for _, count, *_ in written)

    def _add(self, path: Path, size: int, count: int, columns: Mapping[str, Mapping[str, str]]) -> AddAction:
        """One written file as the commit names it, with the statistics that let readers skip it."""
        for name, dtype in self.schema.items():
            if dtype.startswith("!") and columns[name].get("null_count") != "0":
                msg = f"{name} is required and {columns[name].get('null_count')} of {count} rows of a day have none"
                raise StoreError(msg)
        stats = {
            "numRecords": count,
            "minValues": {self.time: _instant(columns[self.time]["min"])},
            "maxValues": {self.time: _instant(columns[self.time]["max"])},
            "nullCount": {self.time: 0},
        }
        day = path.parent.name.removeprefix("day=")
        modified = int(path.stat().st_mtime * 1000)
        name = path.relative_to(self.folder).as_posix()
        return AddAction(name, size, {"day": day}, modified, data_change=True, stats=json.dumps(stats))

    def _commit(
        self, table: DeltaTable, added: list[AddAction], removed: list[File], metadata: Mapping[str, object]
    ) -> bool:
        """One commit on top of just this version; False when there is a newer one."""
        now = max(action.modification_time for action in added)
        removals = [
            RemoveAction(file.path, data_change=False, deletion_timestamp=now, size=file.size,
                         partition_values={"day": file.day.isoformat()})
            for file in removed
        ]  # fmt: skip
        for action in added:
            action.data_change = not removed
        try:
            table.create_write_transaction(
                [*added, *removals],
                "append",
                self._delta_schema(),
                ["day"],
                commit_properties=CommitProperties({"load": dict(metadata)}, max_commit_retries=0),
            )
        except CommitFailedError:
            return False
        return True

    def _delta_schema(self) -> Schema:
        import ibis  # noqa: PLC0415  # as in `read`
        import pyarrow as pa  # noqa: PLC0415

        fields = ibis.schema(self.schema).to_pyarrow()
        return Schema.from_arrow(fields.append(pa.field("day", pa.date32(), nullable=False)))


def _instant(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
