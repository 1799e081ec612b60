"""One Postgres database: events in monthly partitions, the quarantine and the state, in a schema of their own.

::

    hanzo_reports.
      events            partitioned by UTC month; (event_id, timestamp) is unique, BRIN on timestamp
      events_2025_06    one month; before 2000 and from 2100 on one partition each
      loads             one row a commit of events; locked by the one who commits
      quarantine        the rows that no load accepted
      events_version    how far `store/migrations/events` has come; state_version likewise
      ...               the tables of `store.state`
"""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops
import psycopg
from psycopg.types.json import Jsonb

from hanzo_reports.errors import StoreError
from hanzo_reports.events import MONEY, SCHEMA, TIMESTAMP
from hanzo_reports.state.migrate import LOCK, compared, migrate, newest
from hanzo_reports.store.base import QUARANTINE, AppendResult
from hanzo_reports.store.connection_pool import ConnectionPool
from hanzo_reports.store.postgres_load import PostgresTable
from hanzo_reports.store.postgres_reader import Reader
from hanzo_reports.store.postgres_server import ROOM, Server, reset
from hanzo_reports.store.scratch import user_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import sqlalchemy

    from hanzo_reports.store.base import RowSummary

PATIENCE = 600.0
EVENTS = PostgresTable("events", SCHEMA, "event_id", "timestamp")
REJECTED = PostgresTable("quarantine", QUARANTINE, "quarantine_id")
_TYPES = {
    "string": "text", "int16": "smallint", "int32": "integer", "int64": "bigint", "float64": "double precision",
    MONEY: "numeric(18,9)", TIMESTAMP: "timestamp with time zone",
}  # fmt: skip


class PostgresStore:
    """A database of events; see the module's text for its tables.

    Args:
        server: the database, in which the tables are; `open_postgres` makes or checks them.
    """

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        self._idle = ConnectionPool(self, server.connect, reset)

    @property
    def version(self) -> str:
        """The number of the last commit of events."""
        [[newest_load]] = self._asked("SELECT coalesce(max(version), 0) FROM loads")
        return str(newest_load)

    @cached_property
    def state(self) -> sqlalchemy.Engine:
        """The same database and schema."""
        from hanzo_reports.state import database as state  # noqa: PLC0415  # SQLAlchemy is slow to load, and asking needs none

        engine = state.postgres(self._server.connect, self.url)
        weakref.finalize(self, engine.dispose)  # its idle connections end with the store
        return engine

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:  # noqa: ARG002
        """The events as of now: all questions to this table see the same ones; the filter itself spares partitions."""
        return self._table(EVENTS)

    def append(self, rows: ibis.Table, load: Mapping[str, object], seen: RowSummary | None = None) -> AppendResult:
        """Good rows added in one transaction, with the load's record; see `Store.append`."""
        with self._writing() as connection:
            accepted, known, flagged = EVENTS.append(connection, rows, self.url, seen)
            query = "SELECT coalesce(max(version), 0) FROM loads"
            version = next(connection.execute(query))[0] + bool(accepted)
            if accepted:
                said = Jsonb({**load, "accepted": accepted, "known": known})
                connection.execute("INSERT INTO loads VALUES (%s, %s)", [version, said])
        return AppendResult(accepted, known, str(version), flagged)

    def quarantine(self, rows: ibis.Table | None = None) -> ibis.Table:
        """The quarantined rows; given ones are added first."""
        if rows is not None:
            with self._writing() as connection:
                REJECTED.append(connection, rows, self.url)
        return self._table(REJECTED)

    def release(self, ids: Sequence[str]) -> None:
        """Rows taken out of the quarantine."""
        with self._writing() as connection:
            connection.execute("DELETE FROM quarantine WHERE quarantine_id = ANY(%s)", [list(ids)])

    def loads(self) -> list[dict[str, Any]]:
        """What each commit of events says about itself, newest first."""
        found = self._asked("SELECT load, version FROM loads ORDER BY version DESC")
        return [{**load, "version": str(version)} for load, version in found]

    def scratch(self) -> AbstractContextManager[Path]:
        """A folder for a load's temporary files, where this machine has those of this user."""
        return user_scratch()

    def compact(self) -> int:
        """Nothing to merge, so 0; the tables are vacuumed and analysed, which also brings BRIN up to date."""
        with self._server.speaking(), self._server.connect() as connection:
            connection.autocommit = True
            connection.execute("VACUUM (ANALYZE) events, loads, quarantine")
        return 0

    def _asked(self, query: str) -> list[Any]:
        with self._server.speaking(), self._server.connect() as connection:
            return connection.execute(query).fetchall()

    def _table(self, table: PostgresTable) -> ibis.Table:
        """A table on a connection of its own, which looks at one moment."""
        with self._server.speaking():
            connection = self._idle.lend()
            reader = Reader.from_connection(connection)
            reader.url = self.url
            self._idle.reclaim(connection, reader)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SELECT 1")
        optional = {name: dtype.removeprefix("!") for name, dtype in table.schema.items()}
        schema = ibis.schema(optional)  # Ibis takes the minimum of no rows of a required column for required too
        return ops.DatabaseTable(name=table.name, schema=schema, source=reader).to_expr()

    @contextmanager
    def _writing(self) -> Iterator[psycopg.Connection]:
        """A transaction of the one writer; others wait, and give up after ten minutes."""
        with self._server.speaking(), self._server.connect() as connection:
            connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
            connection.execute("LOCK TABLE loads IN SHARE ROW EXCLUSIVE MODE")
            yield connection


def open_postgres(address: str, *, create: bool) -> PostgresStore:
    """The store in a database, its tables made or brought up to date first if asked; see `store.open`."""
    server = Server(address)
    with server.speaking(), server.connect() as connection:
        found = _revision(connection)
        current = compared(found, "events", server.url)
        _check(connection, server.url, found, current=current)
    if not current:
        if not create:
            what = f"has tables of version {found}, this package knows {newest('events')}" if found else "is no store"
            msg = f"{server.url} {what}; run `hanzo-reports init --store {server.url}`"
            raise StoreError(msg)
        _make(server)
    return PostgresStore(server)


def _revision(connection: psycopg.Connection) -> str:
    """How far the tables have come; empty: there are none."""
    if connection.execute("SELECT to_regclass(%s)", [f"{ROOM}.events_version"]).fetchone() == (None,):
        return ""
    row = connection.execute("SELECT version_num FROM events_version").fetchone()
    return str(row[0]) if row else ""


def _check(connection: psycopg.Connection, url: str, found: str, *, current: bool) -> None:
    """An error where a table of someone else has the name of ours, or ours was changed."""
    query = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s)"
    held: dict[str, str] = dict(
        connection.execute(f"{query} AND attnum > 0 AND NOT attisdropped", [f"{ROOM}.events"]).fetchall()
    )
    if held and not found:
        msg = (
            f"{url} has a table {ROOM}.events that is of something else (its columns: {', '.join(held)}); "
            f"move it, or give another database"
        )
        raise StoreError(msg)
    for name, dtype in SCHEMA.items():
        wanted = _TYPES[dtype.removeprefix("!")]
        if current and held.get(name) != wanted:
            what = f"as {held[name]}" if name in held else "not at all"
            msg = (
                f"{url}: {ROOM}.events should have {name} as {wanted} and has it {what}; put it back, or restore the "
                f"schema {ROOM} from a backup"
            )
            raise StoreError(msg)


def _make(server: Server) -> None:
    """The schema and the tables, by whoever comes first."""
    import sqlalchemy  # noqa: PLC0415  # slow to load, and an existing store needs none

    with server.speaking(), server.connect() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if connection.execute("SELECT to_regnamespace(%s)", [ROOM]).fetchone() == (None,):
            connection.execute(f"CREATE SCHEMA {ROOM}")
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=server.connect, poolclass=sqlalchemy.NullPool)
    migrate(engine, "events", server.url)
