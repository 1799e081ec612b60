"""The database of everything that is not an event: SQLite beside the lake, or the store's own Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.errors import StoreError
from hanzo_reports.state import alert_tables, budget_tables, quality_tables
from hanzo_reports.state.metadata import METADATA
from hanzo_reports.state.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUSY_MS = 10_000
_FORBIDDEN = {"42501", "25006"}  # what Postgres says to a role that may not, and where nobody may write
TABLES = (alert_tables, budget_tables, quality_tables)  # METADATA holds theirs; a change needs `make migration`

__all__ = ["METADATA", "TABLES", "postgres", "sqlite"]


def sqlite(path: Path) -> sqlalchemy.Engine:
    """An engine on a SQLite file, with all tables of `METADATA`.

    Readers never block (write-ahead log), foreign keys hold, and a writer waits ten seconds for another.

    Raises:
        StoreVersionError: a newer version of the package made it.
    """
    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(path)))
    sqlalchemy.event.listen(engine, "connect", _settings)
    migrate(engine, "state", str(path))
    return _translated(engine, str(path))


def postgres(connect: Callable[[], Any], url: str) -> sqlalchemy.Engine:
    """An engine on the connections of a function, with all tables of `METADATA`.

    Args:
        connect: gives a new psycopg connection; only it knows the password.
        url: the database, for errors.

    Raises:
        StoreVersionError: a newer version of the package made it.
    """
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)
    migrate(engine, "state", url)
    return _translated(engine, url)


def _translated(engine: sqlalchemy.Engine, place: str) -> sqlalchemy.Engine:
    """The engine, whose database raises StoreError when it is locked, gone or starting again."""

    def translate(context: sqlalchemy.ExceptionContext) -> None:
        if context.is_pre_ping:
            return  # a connection that was lost while it waited; the pool makes a new one
        if isinstance(context.sqlalchemy_exception, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError):
            said = next(iter(str(context.original_exception).strip().splitlines()), "")
            msg = f"the state in {place} cannot be read or written: {said}"
            raise StoreError(msg) from context.original_exception
        if getattr(context.original_exception, "sqlstate", "") in _FORBIDDEN:
            said = str(context.original_exception).splitlines()[0]
            msg = f"the state in {place} may not be written: {said}; its owner can grant it, see docs/postgres.md"
            raise StoreError(msg) from None

    sqlalchemy.event.listen(engine, "handle_error", translate)
    return engine


def _settings(connection: Any, _record: object) -> None:  # noqa: ANN401  # a driver's own connection, untyped
    for setting in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}").close()
