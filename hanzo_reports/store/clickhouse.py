"""One ClickHouse database: events, quarantine and the list of loads; the state is kept in SQLite or Postgres.

::

    events       ReplacingMergeTree by (project, timestamp, event_id); on a cluster, Distributed over events_local
    quarantine   the rows that no load accepted
    loads        one row a commit of events: `done` when its rows are in
    load_...     a load's rows on their way in; left behind by one that died, removed a day later
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
from hanzo_reports.store.base import QUARANTINE, AppendResult, RowSummary, summary_aggregates
from hanzo_reports.store.clickhouse_server import Reader, Server
from hanzo_reports.store.clickhouse_tables import KEYS, LOAD, check, everywhere, local, make
from hanzo_reports.store.connection_pool import ConnectionPool
from hanzo_reports.store.scratch import user_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    import sqlalchemy

BATCH = 200_000  # rows sent at once
ATTEMPTS = 3  # for each of them
RELEASED = 1_000  # ids named at once
_SCHEMAS = {"events": SCHEMA, "quarantine": QUARANTINE}
_TIMES = {"events": "timestamp", "quarantine": "quarantined_at"}
_READING: dict[str, dict[str, int]] = {"events": {}, "quarantine": {"final": 1}}  # equal keys are one, merged or not
_WRITING = {"distributed_foreground_insert": 1, "distributed_product_mode": "global", "mutations_sync": 2}
_LOADS = f"""
    SELECT {LOAD}, said FROM loads FINAL
    WHERE done OR {LOAD} IN (
        SELECT {LOAD} FROM events WHERE {LOAD} IN (SELECT {LOAD} FROM loads FINAL WHERE NOT done)
    )
    ORDER BY {LOAD} DESC
"""  # noqa: S608  # our own names
_ARRIVED = f"""
    SELECT {LOAD}, said FROM loads FINAL
    WHERE NOT done AND {LOAD} IN (
        SELECT {LOAD} FROM events WHERE {LOAD} IN (SELECT {LOAD} FROM loads FINAL WHERE NOT done)
    )
"""  # noqa: S608
_LATER = f"""
    SELECT event_id, {LOAD} FROM (
        SELECT event_id, {LOAD}, min({LOAD}) OVER (PARTITION BY event_id) AS first
        FROM events WHERE event_id IN (SELECT event_id FROM events WHERE {LOAD} = {{number}})
    ) WHERE {LOAD} > first
"""  # noqa: S608
_LEFT = """
    SELECT name FROM system.tables
    WHERE database = currentDatabase() AND startsWith(name, 'load_') AND metadata_modification_time < now() - 86400
"""


class ClickHouseStore:
    """A database of events; see the module's text for its tables.

    Args:
        server: the database, in which the tables are; `open_clickhouse` makes or checks them.
        state: where the state is kept: a SQLite file, or the address of a store in Postgres; empty: nowhere.
    """

    def __init__(self, server: Server, state: str) -> None:
        self.url = server.url
        self._server = server
        self._state = state
        self._client = server.client(_WRITING)
        self._idle = {
            table: ConnectionPool(self, partial(server.client, settings)) for table, settings in _READING.items()
        }

    @property
    def version(self) -> str:
        """The number of the last commit of events: the microsecond it was made in."""
        loads = self._asked(_LOADS)
        return str(loads[0][0] if loads else 0)

    @cached_property
    def state(self) -> sqlalchemy.Engine:
        """The SQLite file or the Postgres database that was named for it."""
        if not self._state:
            msg = (
                f"{self.url} keeps events only; say where budgets, rules and keys are kept: set HANZO_REPORTS_STATE to "
                "a file for SQLite or to the postgresql:// address of a store"
            )
            raise StoreError(msg)
        if "://" in self._state:
            from hanzo_reports.store.postgres import open_postgres  # noqa: PLC0415  # SQLite needs no driver

            return open_postgres(self._state, create=True).state
        from hanzo_reports.state import database as state  # noqa: PLC0415  # SQLAlchemy is slow to load, and asking needs none

        return state.sqlite(Path(self._state).expanduser())

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:  # noqa: ARG002
        """The events of the newest version; the filter itself spares those outside the window."""
        return self._read("events")

    def append(
        self, rows: ibis.Table, load: Mapping[str, object], seen: RowSummary | None = None  # noqa: ARG002
    ) -> AppendResult:  # fmt: skip
        """Good rows added in one commit; see `Store.append`.

        They wait in a table of their own, sent in batches with a deduplication token each, so that one sent twice is
        there once; then all of them are attached to the events at once. On a cluster that is at once for each shard.
        """
        flags = [name for name in rows.columns if name not in SCHEMA]
        with self._writing() as stage:
            for number, said in self._client.query(_ARRIVED).result_rows:
                self._settle(number, said)  # its loader died, or is about to do so itself
            fresh, known, found = self._fresh(stage, "events", rows, flags)
            if not found.rows:
                return AppendResult(0, known, self.version, found.flagged)
            number = self._number()
            said = json.dumps({**load, "accepted": found.rows, "known": known}, default=str)
            self._send(stage, "events", fresh, number)
            self._client.insert("loads", [[number, 0, said]], column_names=[LOAD, "done", "said"])
            self._attach("events", stage)
            self._settle(number, said)
        return AppendResult(found.rows, known, str(number), found.flagged)

    def quarantine(self, rows: ibis.Table | None = None) -> ibis.Table:
        """The quarantined rows; given ones are added first."""
        if rows is not None:
            with self._writing() as stage:
                fresh, _, found = self._fresh(stage, "quarantine", rows, [])
                if found.rows:
                    self._send(stage, "quarantine", fresh, self._number())
                    self._attach("quarantine", stage)
        return self._read("quarantine")

    def release(self, ids: Sequence[str]) -> None:
        """Rows taken out of the quarantine."""
        where = f"{local(self._server, 'quarantine')}{everywhere(self._server)}"
        with self._server.speaking():
            for start in range(0, len(ids), RELEASED):
                some = {"ids": list(ids[start : start + RELEASED])}
                self._client.command(f"ALTER TABLE {where} DELETE WHERE quarantine_id IN %(ids)s", parameters=some)

    def loads(self) -> list[dict[str, Any]]:
        """What each commit of events says about itself, newest first."""
        return [{**json.loads(said), "version": str(number)} for number, said in self._asked(_LOADS)]

    def scratch(self) -> AbstractContextManager[Path]:
        """A folder for a load's temporary files, where this machine has those of this user."""
        return user_scratch()

    def compact(self) -> int:
        """All parts of each table merged into one; the number of parts merged."""
        before = self._parts()
        with self._server.speaking():
            for table in _SCHEMAS:
                self._client.command(f"OPTIMIZE TABLE {local(self._server, table)}{everywhere(self._server)} FINAL")
        return before - self._parts()

    def _parts(self) -> int:
        query = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND active AND table IN %(names)s"
        names = [local(self._server, table).strip("`") for table in _SCHEMAS]
        with self._server.speaking():
            return int(self._client.query(query, parameters={"names": names}).result_rows[0][0])

    def _asked(self, query: str) -> list[Any]:
        with self._server.speaking():
            return list(self._client.query(query).result_rows)

    def _read(self, table: str) -> ibis.Table:
        """The rows of the commits until now, on a connection of the table's own."""
        client = self._idle[table].lend()
        reader: Reader = Reader.from_connection(client)
        reader.url = self.url
        self._idle[table].reclaim(client, reader)
        schema = ibis.schema({**_SCHEMAS[table], LOAD: "!int64"})
        [[newest]] = self._asked(f"SELECT max({LOAD}) FROM {table}")  # noqa: S608  # our own names
        held = ops.DatabaseTable(name=table, schema=schema, source=reader).to_expr()
        return held.filter(held[LOAD] <= newest).drop(LOAD)

    def _number(self) -> int:
        """The next commit's number: later than all others, by the server's microsecond, and like no other's."""
        query = f"SELECT greatest(toUnixTimestamp64Micro(now64(6)) * 1000, max({LOAD}) + 1) + rand() % 1000 FROM loads"  # noqa: S608
        [[number]] = self._asked(query)
        return int(number)

    def _settle(self, number: int, said: str) -> None:
        """A commit finished: ids that another loader sent at the same moment stay with the lower number.

        Whoever of the two comes second sees both, and removes the same rows as the other would.
        """
        later = _LATER.format(number=number)
        if self._client.query(f"{later} LIMIT 1").result_rows:
            where = f"{local(self._server, 'events')}{everywhere(self._server)}"
            self._client.command(f"ALTER TABLE {where} DELETE WHERE (event_id, {LOAD}) IN ({later})")
        self._client.insert("loads", [[number, 1, said]], column_names=[LOAD, "done", "said"])

    def _fresh(self, stage: str, table: str, rows: ibis.Table, flags: list[str]) -> tuple[ibis.Table, int, RowSummary]:
        """The rows whose key the table does not hold, how many others there are, and their measures."""
        key, time = KEYS[table], _TIMES[table]
        self._client.command(f"CREATE TABLE `{stage}_ids` (`{key}` String) ENGINE = Memory")
        for batch in rows.select(key).to_pyarrow_batches(chunk_size=BATCH):
            self._client.insert_arrow(f"{stage}_ids", pa.Table.from_batches([batch]))
        query = f"SELECT DISTINCT `{key}` FROM {table} WHERE `{key}` IN (SELECT `{key}` FROM `{stage}_ids`)"  # noqa: S608
        known = self._client.query_arrow(query)
        if known.num_rows:
            rows = rows.anti_join(rows.get_backend().create_table(f"{stage}_known", known, temp=True), key)
        required = [name for name, dtype in _SCHEMAS[table].items() if dtype.startswith("!")]
        lacking = {f"no_{name}": rows[name].isnull().sum() for name in required}
        row = rows.aggregate(**lacking, **summary_aggregates(rows, time, flags)).to_pyarrow().to_pylist()[0]
        lacks = {name: row.pop(f"no_{name}") for name in required}
        found = RowSummary.from_values(list(row.values()), flags)
        for name, count in lacks.items():
            if count:
                msg = f"{name} is required and {count} of {found.rows} rows have none"
                raise StoreError(msg)
        return rows, known.num_rows, found

    def _send(self, stage: str, table: str, rows: ibis.Table, number: int) -> None:
        """The rows into a table of their own."""
        for statement in make(self._server, stage, table):
            self._client.command(statement)
        schema = {name: ibis.dtype(dtype).copy(nullable=True) for name, dtype in _SCHEMAS[table].items()}
        typed = rows.select(list(schema)).cast(schema).mutate(**{LOAD: ibis.literal(number, "int64")})
        for place, batch in enumerate(typed.to_pyarrow_batches(chunk_size=BATCH)):
            self._insert(stage, pa.Table.from_batches([batch]), f"{stage}_{place}")

    def _insert(self, stage: str, rows: pa.Table, token: str) -> None:
        """Rows sent, and sent again when the connection breaks: the token lets them in once."""
        for attempt in range(ATTEMPTS):
            try:
                self._client.insert_arrow(stage, rows, settings={"insert_deduplication_token": token})
            except OperationalError:
                if attempt + 1 == ATTEMPTS:
                    raise
            else:
                return

    def _attach(self, table: str, stage: str) -> None:
        """All rows of a load made part of a table, in one step."""
        self._client.command(
            f"ALTER TABLE {local(self._server, table)}{everywhere(self._server)} "
            f"ATTACH PARTITION tuple() FROM {local(self._server, stage)}"
        )

    @contextmanager
    def _writing(self) -> Iterator[str]:
        """The name of a load's own tables, which are dropped at the end; what dead loads left is dropped first."""
        stage = f"load_{uuid4().hex}"
        with self._server.speaking():
            for [name] in self._client.query(_LEFT).result_rows:
                self._client.command(f"DROP TABLE IF EXISTS `{name}`{everywhere(self._server)}")
            try:
                yield stage
            finally:
                with suppress(OperationalError):  # the server is gone; the next load drops them
                    for name in (f"`{stage}_ids`", f"`{stage}`", local(self._server, stage)):
                        self._client.command(f"DROP TABLE IF EXISTS {name}{everywhere(self._server)}")


def open_clickhouse(address: str, *, create: bool, state: str = "") -> ClickHouseStore:
    """The store in a database, its tables made first if asked; see `store.open`."""
    server = Server(address)
    if create:
        with server.speaking():
            named = f"CREATE DATABASE IF NOT EXISTS `{server.database}`{everywhere(server)}"
            server.client(database=False).command(named)
    client = server.client()
    with server.speaking():
        if not check(server, client):
            if not create:
                msg = f"{server.url} is no store; run `hanzo-reports init --store {server.url}`"
                raise StoreError(msg)
            for table in ("quarantine", "loads", "events"):
                for statement in make(server, table, table):
                    client.command(statement)
            check(server, client)
    return ClickHouseStore(server, state)
