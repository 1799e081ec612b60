"""A store in one Postgres database: events in monthly partitions, quarantine and state, in a schema of their own.

::

    hanzo_reports.
      events            partitioned by UTC month; (event_id, timestamp) is unique, BRIN on timestamp
      events_2025_06    one month; before 2000 and from 2100 on one partition each
      loads             one row per commit of events; locked by whoever commits
      quarantine        the rows that no load accepted
      events_version    the newest migration of the tree `events`; state_version likewise
      ...               the tables of `state`
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops
import psycopg
from psycopg.types.json import Jsonb

from hanzo_reports.errors import StoreError
from hanzo_reports.events import MONEY, SCHEMA, TIMESTAMP
from hanzo_reports.state.migrate import MIGRATION_LOCK, is_current, migrate, newest_revision
from hanzo_reports.store.base import QUARANTINE, AppendResult
from hanzo_reports.store.connection_pool import ConnectionPool
from hanzo_reports.store.postgres_load import PostgresTable
from hanzo_reports.store.postgres_reader import Reader
from hanzo_reports.store.postgres_server import SCHEMA_NAME, Server, reset_connection
from hanzo_reports.store.scratch import user_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    import sqlalchemy

    from hanzo_reports.store.base import RowSummary

LOCK_TIMEOUT = 600.0  # seconds
EVENTS = PostgresTable("events", SCHEMA, "event_id", "timestamp")
REJECTED_ROWS = PostgresTable("quarantine", QUARANTINE, "quarantine_id")
_TYPES = {
    "string": "text", "int16": "smallint", "int32": "integer", "int64": "bigint", "float64": "double precision",
    MONEY: "numeric(18,9)", TIMESTAMP: "timestamp with time zone",
}  # fmt: skip


class PostgresStore:
    """A database of events; see the module's docstring for its tables.

    Args:
        server: the database, which has the tables; `open_postgres` creates or checks them.
    """

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        self._pool = ConnectionPool(self, server.connect, reset_connection)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def version(self) -> str:
        """The number of the last commit of events."""
        [[version]] = self._query("SELECT coalesce(max(version), 0) FROM loads")
        return str(version)

    @cached_property
    def state(self) -> sqlalchemy.Engine:
        """The same database and schema."""
        from hanzo_reports.state import database  # noqa: PLC0415  # SQLAlchemy is slow to load, and most questions need none

        engine = database.open_postgres_state(self._server.connect, self.url)
        database.close_with(self, engine)
        return engine

    def events(self, start: datetime | None = None, end: datetime | None = None) -> ibis.Table:  # noqa: ARG002
        """Return the events as of now, the same to every question to this table. Filters prune its partitions."""
        return self._open_table(EVENTS)

    def find_known(self, ids: ibis.Table) -> ibis.Table | None:
        """Find the ids that the store has among some; see `Store.find_known`."""
        with self._server.translate_errors(), self._server.connect() as connection:
            return EVENTS.find_known(connection, ids, self.url)

    def append(self, rows: ibis.Table, load: Mapping[str, object], summary: RowSummary | None = None) -> AppendResult:
        """Add good rows in one transaction, with the load's record; see `Store.append`."""
        with self._lock_for_writing() as connection:
            accepted, known, flagged = EVENTS.append(connection, rows, self.url, summary)
            query = "SELECT coalesce(max(version), 0) FROM loads"
            version = next(connection.execute(query))[0] + bool(accepted)
            if accepted:
                record = Jsonb({**load, "accepted": accepted, "known": known})
                connection.execute("INSERT INTO loads VALUES (%s, %s)", [version, record])
        return AppendResult(accepted, known, str(version), flagged)

    def quarantine(self) -> ibis.Table:
        """Return the quarantined rows."""
        return self._open_table(REJECTED_ROWS)

    def add_to_quarantine(self, rows: ibis.Table) -> None:
        """Add rows to the quarantine; see `Store.add_to_quarantine`."""
        with self._lock_for_writing() as connection:
            REJECTED_ROWS.append(connection, rows, self.url)

    def release(self, ids: Sequence[str]) -> None:
        """Remove rows from the quarantine."""
        with self._lock_for_writing() as connection:
            connection.execute("DELETE FROM quarantine WHERE quarantine_id = ANY(%s)", [list(ids)])

    def loads(self) -> list[dict[str, Any]]:
        """Return how each commit of events describes itself, newest first."""
        rows = self._query("SELECT load, version FROM loads ORDER BY version DESC")
        return [{**load, "version": str(version)} for load, version in rows]

    def scratch(self) -> AbstractContextManager[Path]:
        """Create a folder for a load's temporary files, among this user's on this machine."""
        return user_scratch()

    def compact(self) -> int:
        """Vacuum and analyse the tables, which also updates BRIN; return 0, as nothing is merged."""
        with self._server.translate_errors(), self._server.connect() as connection:
            connection.autocommit = True
            connection.execute("VACUUM (ANALYZE) events, loads, quarantine")
        return 0

    def _query(self, query: str) -> list[Any]:
        with self._server.translate_errors(), self._server.connect() as connection:
            return connection.execute(query).fetchall()

    def _open_table(self, table: PostgresTable) -> ibis.Table:
        """Return a table on a connection of its own, in a snapshot."""
        with self._server.translate_errors():
            connection = self._pool.acquire()
            reader = Reader.from_connection(connection)
            reader.url = self.url
            self._pool.release_with(connection, reader)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SELECT 1")
        nullable = {name: dtype.removeprefix("!") for name, dtype in table.schema.items()}
        schema = ibis.schema(nullable)  # Ibis would type the minimum of a required column as required, also of no rows
        return ops.DatabaseTable(name=table.name, schema=schema, source=reader).to_expr()

    @contextmanager
    def _lock_for_writing(self) -> Iterator[psycopg.Connection]:
        """Yield a transaction that holds the write lock, after waiting for it for at most ten minutes."""
        with self._server.translate_errors(), self._server.connect() as connection:
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'")
            connection.execute("LOCK TABLE loads IN SHARE ROW EXCLUSIVE MODE")
            yield connection


def open_postgres(address: str, *, create: bool) -> PostgresStore:
    """Open the store in a database, its tables created or migrated first if requested; see `store.open`."""
    server = Server(address)
    with server.translate_errors(), server.connect() as connection:
        revision = _read_revision(connection)
        current = is_current(revision, "events", server.url)
        _check_columns(connection, server.url, revision, current=current)
    if not current:
        if not create:
            needed = newest_revision("events")
            problem = f"{server.url} has tables of version {revision}, this package needs {needed}"
            msg = (
                f"{problem if revision else f'No store at {server.url}'}; run `hanzo-reports init --store {server.url}`"
            )
            raise StoreError(msg)
        _create(server)
    return PostgresStore(server)


def _read_revision(connection: psycopg.Connection) -> str:
    """Return the newest migration that the tables have had; an empty text if there are no tables."""
    if connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA_NAME}.events_version"]).fetchone() == (None,):
        return ""
    row = connection.execute("SELECT version_num FROM events_version").fetchone()
    return str(row[0]) if row else ""


def _check_columns(connection: psycopg.Connection, url: str, revision: str, *, current: bool) -> None:
    """Raise an error if the table of events belongs to something else or was altered."""
    query = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s)"
    columns: dict[str, str] = dict(
        connection.execute(f"{query} AND attnum > 0 AND NOT attisdropped", [f"{SCHEMA_NAME}.events"]).fetchall()
    )
    if columns and not revision:
        msg = (
            f"{url} has a table {SCHEMA_NAME}.events that hanzo-reports did not create (its columns: "
            f"{', '.join(columns)}); move it, or give another database"
        )
        raise StoreError(msg)
    for name, dtype in SCHEMA.items():
        expected = _TYPES[dtype.removeprefix("!")]
        if current and columns.get(name) != expected:
            problem = f"has type {columns[name]}" if name in columns else "is missing"
            msg = (
                f"{url}: the column {name} of {SCHEMA_NAME}.events {problem}, not {expected}; change it back, or "
                f"restore the schema {SCHEMA_NAME} from a backup"
            )
            raise StoreError(msg)


def _create(server: Server) -> None:
    """Create the schema and the tables, once however many processes try."""
    import sqlalchemy  # noqa: PLC0415  # slow to load, and an existing store needs none

    with server.translate_errors(), server.connect() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        if connection.execute("SELECT to_regnamespace(%s)", [SCHEMA_NAME]).fetchone() == (None,):
            connection.execute(f"CREATE SCHEMA {SCHEMA_NAME}")
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=server.connect, poolclass=sqlalchemy.NullPool)
    migrate(engine, "events", server.url)
