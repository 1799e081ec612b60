"""A store in one ClickHouse database: events, quarantine and the list of loads; its state is in SQLite or Postgres.

::

    events       ReplacingMergeTree by (project, timestamp, event_id); on a cluster, Distributed over events_local
    quarantine   the rows that no load accepted
    loads        one row per commit of events: `done` once its rows are in; see also `clickhouse_inventory`
    load_...     staged rows of a load; a load that dies leaves it behind, and a load a day later removes it
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
from clickhouse_connect.driver.exceptions import OperationalError

from hanzo_reports.errors import StoreError
from hanzo_reports.events import SCHEMA
from hanzo_reports.store.address import redact_password
from hanzo_reports.store.base import QUARANTINE, AppendResult, RowSummary, summary_aggregates
from hanzo_reports.store.clickhouse_server import ClickHouseServer, Reader
from hanzo_reports.store.clickhouse_tables import KEYS, LOAD, check_tables, create_statements, local_table, on_cluster
from hanzo_reports.store.connection_pool import ConnectionPool
from hanzo_reports.store.scratch import user_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    import sqlalchemy

BATCH_ROWS = 200_000
SEND_ATTEMPTS = 3  # for each batch
RELEASE_BATCH = 1_000  # ids that one statement names
_SCHEMAS = {"events": SCHEMA, "quarantine": QUARANTINE}
_TIMES = {"events": "timestamp", "quarantine": "quarantined_at"}
_READ_SETTINGS: dict[str, dict[str, int]] = {
    "events": {},
    "quarantine": {"final": 1},
}  # rows of one key count once, merged or not
_WRITE_SETTINGS = {"distributed_foreground_insert": 1, "distributed_product_mode": "global", "mutations_sync": 2}
_LOADS = f"""
    SELECT {LOAD}, said FROM loads FINAL
    WHERE done OR {LOAD} IN (
        SELECT {LOAD} FROM events WHERE {LOAD} IN (SELECT {LOAD} FROM loads FINAL WHERE NOT done)
    )
    ORDER BY {LOAD} DESC
"""  # noqa: S608  # our own names
_UNSETTLED_LOADS = f"""
    SELECT {LOAD}, said FROM loads FINAL
    WHERE NOT done AND {LOAD} IN (
        SELECT {LOAD} FROM events WHERE {LOAD} IN (SELECT {LOAD} FROM loads FINAL WHERE NOT done)
    )
"""  # noqa: S608
_LATER_COPIES = f"""
    SELECT event_id, {LOAD} FROM (
        SELECT event_id, {LOAD}, min({LOAD}) OVER (PARTITION BY event_id) AS first
        FROM events WHERE event_id IN (SELECT event_id FROM events WHERE {LOAD} = {{number}})
    ) WHERE {LOAD} > first
"""  # noqa: S608
_ABANDONED_TABLES = """
    SELECT name FROM system.tables
    WHERE database = currentDatabase() AND startsWith(name, 'load_') AND metadata_modification_time < now() - 86400
"""


class ClickHouseStore:
    """A database of events; see the module's docstring for its tables.

    Args:
        server: the database, which has the tables; `open_clickhouse` creates or checks them.
        state: where the state is stored: a SQLite file, or the address of a store in Postgres; empty: nowhere.
    """

    def __init__(self, server: ClickHouseServer, state: str) -> None:
        self.url = server.url
        self._server = server
        self._state = state
        self._client = server.connect(_WRITE_SETTINGS)
        self._pools = {
            table: ConnectionPool(self, partial(server.connect, settings)) for table, settings in _READ_SETTINGS.items()
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def version(self) -> str:
        """The number of the last commit of events: the microsecond of its creation."""
        loads = self._query(_LOADS)
        return str(loads[0][0] if loads else 0)

    @cached_property
    def state(self) -> sqlalchemy.Engine:
        """The SQLite file or the Postgres database that `HANZO_REPORTS_STATE` names."""
        if not self._state:
            msg = (
                f"{self.url} stores events only. Set HANZO_REPORTS_STATE to where budgets, rules and keys are stored: "
                "a file for SQLite, or the postgresql:// address of a store"
            )
            raise StoreError(msg)
        from hanzo_reports.state import database  # noqa: PLC0415  # SQLAlchemy is slow to load, and most questions need none
        from hanzo_reports.state.inventory import attach_inventory  # noqa: PLC0415
        from hanzo_reports.store.clickhouse_inventory import ClickHouseInventory  # noqa: PLC0415

        if "://" in self._state:
            from hanzo_reports.store.postgres import open_postgres  # noqa: PLC0415  # SQLite needs no driver

            engine = open_postgres(self._state, create=True).state
        else:
            engine = database.open_sqlite_state(Path(self._state).expanduser())
        attach_inventory(engine, ClickHouseInventory(self._server, redact_password(self._state)))
        database.close_with(self, engine)
        return engine

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:  # noqa: ARG002
        """Return the events of the newest version; filters prune those outside the window."""
        return self._read("events")

    def find_known(self, ids: ibis.Table) -> ibis.Table | None:
        """Find the ids that the store has among some; see `Store.find_known`."""
        with self._stage() as stage:
            return self._find_known(stage, "events", ids)

    def append(
        self, rows: ibis.Table, load: Mapping[str, object], summary: RowSummary | None = None  # noqa: ARG002
    ) -> AppendResult:  # fmt: skip
        """Add good rows in one commit; see `Store.append`.

        They are staged in a table of their own, sent in batches with a deduplication token each, so that a batch that
        is sent twice is stored once; then all of them are attached to the events at once. On a cluster that is at once
        for each shard.
        """
        flags = [name for name in rows.columns if name not in SCHEMA]
        with self._stage() as stage:
            for number, record in self._client.query(_UNSETTLED_LOADS).result_rows:
                self._settle(number, record)  # its loader died, or is about to settle it itself
            new_rows, known, new = self._exclude_known(stage, "events", rows, flags)
            if not new.rows:
                return AppendResult(0, known, self.version, new.flagged)
            number = self._next_number()
            record = json.dumps({**load, "accepted": new.rows, "known": known}, default=str)
            self._send(stage, "events", new_rows, number)
            self._insert_load(number, record, finished=False)
            self._attach("events", stage)
            self._settle(number, record)
        return AppendResult(new.rows, known, str(number), new.flagged)

    def quarantine(self) -> ibis.Table:
        """Return the quarantined rows."""
        return self._read("quarantine")

    def add_to_quarantine(self, rows: ibis.Table) -> None:
        """Add rows to the quarantine; see `Store.add_to_quarantine`."""
        with self._stage() as stage:
            new_rows, _, new = self._exclude_known(stage, "quarantine", rows, [])
            if new.rows:
                self._send(stage, "quarantine", new_rows, self._next_number())
                self._attach("quarantine", stage)

    def release(self, ids: Sequence[str]) -> None:
        """Remove rows from the quarantine."""
        table = f"{local_table(self._server, 'quarantine')}{on_cluster(self._server)}"
        with self._server.translate_errors():
            for start in range(0, len(ids), RELEASE_BATCH):
                batch = {"ids": list(ids[start : start + RELEASE_BATCH])}
                self._client.command(f"ALTER TABLE {table} DELETE WHERE quarantine_id IN %(ids)s", parameters=batch)

    def loads(self) -> list[dict[str, Any]]:
        """Return how each commit of events describes itself, newest first."""
        return [{**json.loads(record), "version": str(number)} for number, record in self._query(_LOADS)]

    def scratch(self) -> AbstractContextManager[Path]:
        """Create a folder for a load's temporary files, among this user's on this machine."""
        return user_scratch()

    def compact(self) -> int:
        """Merge all parts of each table into one; return the number of parts merged."""
        before = self._count_parts()
        with self._server.translate_errors():
            for table in _SCHEMAS:
                name = f"{local_table(self._server, table)}{on_cluster(self._server)}"
                self._client.command(f"OPTIMIZE TABLE {name} FINAL")
        return before - self._count_parts()

    def _count_parts(self) -> int:
        query = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND active AND table IN %(names)s"
        names = [local_table(self._server, table).strip("`") for table in _SCHEMAS]
        with self._server.translate_errors():
            return int(self._client.query(query, parameters={"names": names}).result_rows[0][0])

    def _query(self, query: str) -> list[Any]:
        with self._server.translate_errors():
            return list(self._client.query(query).result_rows)

    def _read(self, table: str) -> ibis.Table:
        """Return the rows of all commits so far, on a connection of the table's own."""
        client = self._pools[table].acquire()
        reader: Reader = Reader.from_connection(client)
        reader.url = self.url
        self._pools[table].release_with(client, reader)
        schema = ibis.schema({**_SCHEMAS[table], LOAD: "!int64"})
        [[newest]] = self._query(f"SELECT max({LOAD}) FROM {table}")  # noqa: S608  # our own names
        rows = ops.DatabaseTable(name=table, schema=schema, source=reader).to_expr()
        return rows.filter(rows[LOAD] <= newest).drop(LOAD)

    def _next_number(self) -> int:
        """Return a unique commit number above all others, from the server's clock in microseconds."""
        query = f"SELECT greatest(toUnixTimestamp64Micro(now64(6)) * 1000, max({LOAD}) + 1) + rand() % 1000 FROM loads"  # noqa: S608
        [[number]] = self._query(query)
        return int(number)

    def _settle(self, number: int, record: str) -> None:
        """Finish a commit: ids that another loader sent at the same moment stay with the lower number.

        Whichever of the two loaders finishes second sees both, and removes the same rows as the other would.
        """
        later = _LATER_COPIES.format(number=number)
        if self._client.query(f"{later} LIMIT 1").result_rows:
            table = f"{local_table(self._server, 'events')}{on_cluster(self._server)}"
            self._client.command(f"ALTER TABLE {table} DELETE WHERE (event_id, {LOAD}) IN ({later})")
        self._insert_load(number, record, finished=True)

    def _insert_load(self, number: int, record: str, *, finished: bool) -> None:
        self._client.insert("loads", [[number, int(finished), record]], column_names=[LOAD, "done", "said"])

    def _exclude_known(
        self, stage: str, table: str, rows: ibis.Table, flags: list[str]
    ) -> tuple[ibis.Table, int, RowSummary]:
        """Return the rows whose key is not in the table, how many others there are, and a summary of the new rows."""
        key, time = KEYS[table], _TIMES[table]
        known = self._find_known(stage, table, rows.select(key))
        known_count = 0
        if known is not None:
            rows = rows.anti_join(known, key)
            known_count = int(known.count().to_pyarrow().as_py())
        required = [name for name, dtype in _SCHEMAS[table].items() if dtype.startswith("!")]
        null_sums = {f"no_{name}": rows[name].isnull().sum() for name in required}
        row = rows.aggregate(**null_sums, **summary_aggregates(rows, time, flags)).to_pyarrow().to_pylist()[0]
        null_counts = {name: row.pop(f"no_{name}") for name in required}
        summary = RowSummary.from_values(list(row.values()), flags)
        for name, count in null_counts.items():
            if count:
                msg = f"{name} is required, and {count} of {summary.rows} rows have none"
                raise StoreError(msg)
        return rows, known_count, summary

    def _find_known(self, stage: str, table: str, keys: ibis.Table) -> ibis.Table | None:
        """Return those of some keys that are in the table, each once; None: none is."""
        key = KEYS[table]
        self._client.command(f"CREATE TABLE `{stage}_ids` (`{key}` String) ENGINE = Memory")
        for batch in keys.to_pyarrow_batches(chunk_size=BATCH_ROWS):
            self._client.insert_arrow(f"{stage}_ids", pa.Table.from_batches([batch]))
        query = f"SELECT DISTINCT `{key}` FROM {table} WHERE `{key}` IN (SELECT `{key}` FROM `{stage}_ids`)"  # noqa: S608
        known = self._client.query_arrow(query)
        if not known.num_rows:
            return None
        return keys.get_backend().create_table(f"{stage}_known", known, temp=True)

    def _send(self, stage: str, table: str, rows: ibis.Table, number: int) -> None:
        """Send rows into a table of their own."""
        for statement in create_statements(self._server, stage, table):
            self._client.command(statement)
        schema = {name: ibis.dtype(dtype).copy(nullable=True) for name, dtype in _SCHEMAS[table].items()}
        typed = rows.select(list(schema)).cast(schema).mutate(**{LOAD: ibis.literal(number, "int64")})
        for position, batch in enumerate(typed.to_pyarrow_batches(chunk_size=BATCH_ROWS)):
            self._insert(stage, pa.Table.from_batches([batch]), f"{stage}_{position}")

    def _insert(self, stage: str, rows: pa.Table, token: str) -> None:
        """Send rows, and again when the connection breaks: with the same token they are stored once."""
        for attempt in range(SEND_ATTEMPTS):
            try:
                self._client.insert_arrow(stage, rows, settings={"insert_deduplication_token": token})
            except OperationalError:
                if attempt + 1 == SEND_ATTEMPTS:
                    raise
            else:
                return

    def _attach(self, table: str, stage: str) -> None:
        """Make all rows of a load part of a table, in one step."""
        self._client.command(
            f"ALTER TABLE {local_table(self._server, table)}{on_cluster(self._server)} "
            f"ATTACH PARTITION tuple() FROM {local_table(self._server, stage)}"
        )

    @contextmanager
    def _stage(self) -> Iterator[str]:
        """Yield the name of a load's own tables, which are dropped at the end; abandoned ones are dropped first."""
        stage = f"load_{uuid4().hex}"
        with self._server.translate_errors():
            for [name] in self._client.query(_ABANDONED_TABLES).result_rows:
                self._client.command(f"DROP TABLE IF EXISTS `{name}`{on_cluster(self._server)}")
            try:
                yield stage
            finally:
                with suppress(OperationalError):  # the server is gone; a later load drops them
                    for name in (f"`{stage}_ids`", f"`{stage}`", local_table(self._server, stage)):
                        self._client.command(f"DROP TABLE IF EXISTS {name}{on_cluster(self._server)}")


def open_clickhouse(address: str, *, create: bool, state: str = "") -> ClickHouseStore:
    """Open the store in a database, its tables created first if requested; see `store.open`."""
    server = ClickHouseServer(address)
    if create:
        with server.translate_errors():
            statement = f"CREATE DATABASE IF NOT EXISTS `{server.database}`{on_cluster(server)}"
            server.connect(database=False).command(statement)
    client = server.connect()
    with server.translate_errors():
        if not check_tables(server, client):
            if not create:
                msg = f"No store at {server.url}; run `hanzo-reports init --store {server.url}`"
                raise StoreError(msg)
            for table in ("quarantine", "loads", "events"):
                for statement in create_statements(server, table, table):
                    client.command(statement)
            check_tables(server, client)
    return ClickHouseStore(server, state)
