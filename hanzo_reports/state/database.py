"""The database of everything that is not an event: SQLite beside a folder's events, or the store's own Postgres."""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.errors import StoreError
from hanzo_reports.state import alert_tables, budget_tables, inventory_table, quality_tables
from hanzo_reports.state.inventory import OPTION, Inventory, TableInventory, attach_inventory
from hanzo_reports.state.metadata import METADATA
from hanzo_reports.state.migrate import DAMAGED, migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUSY_TIMEOUT_MS = 10_000
_FORBIDDEN = {"42501", "25006"}  # Postgres' codes for a role without the right, and for a read-only server
TABLES = (alert_tables, budget_tables, inventory_table, quality_tables)  # modules whose tables METADATA has

__all__ = ["METADATA", "TABLES", "open_postgres_state", "open_sqlite_state"]


def open_sqlite_state(path: Path, inventory: Inventory | None = None) -> sqlalchemy.Engine:
    """Open an engine on a SQLite file, with all tables of `METADATA`.

    Readers never block (write-ahead log), foreign keys are enforced, and a writer waits ten seconds for another. Each
    connection that closes moves the log into the file, so that a copy of the file alone is complete.

    Args:
        path: the file, created if it does not exist.
        inventory: notices a file that was emptied or replaced; None: nothing does.

    Raises:
        StoreVersionError: a newer version of the package created it.
        StoreError: it is damaged, belongs to something else, or cannot be opened.
    """
    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(path)))
    sqlalchemy.event.listen(engine, "connect", _configure)
    sqlalchemy.event.listen(engine, "close", _checkpoint)
    migrate(engine, "state", str(path))
    _translate_errors(engine, str(path))
    if inventory is not None:
        attach_inventory(engine, inventory)
    return engine


def open_postgres_state(connect: Callable[[], Any], url: str) -> sqlalchemy.Engine:
    """Open an engine on the connections of a function, with all tables of `METADATA`.

    Args:
        connect: returns a new psycopg connection; only it knows the password.
        url: the database, for errors.

    Raises:
        StoreVersionError: a newer version of the package created the tables.
    """
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)
    migrate(engine, "state", url)
    _translate_errors(engine, url)
    engine.update_execution_options(**{OPTION: TableInventory(url)})
    return engine


def close_with(owner: object, engine: sqlalchemy.Engine) -> None:
    """Close the engine's idle connections when its owner is garbage-collected, or when the process exits."""
    weakref.finalize(owner, engine.dispose)


def _translate_errors(engine: sqlalchemy.Engine, place: str) -> None:
    """Make the engine raise StoreError when its database is locked, gone, damaged or read-only."""

    def translate(context: sqlalchemy.ExceptionContext) -> None:
        if context.is_pre_ping:
            return  # a connection that was lost while it was idle; the pool opens a new one
        reason = next(iter(str(context.original_exception).strip().splitlines()), "")
        if isinstance(context.sqlalchemy_exception, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError):
            msg = f"The state in {place} cannot be read or written: {reason}"
            raise StoreError(msg) from context.original_exception
        if getattr(context.original_exception, "sqlite_errorname", "") in DAMAGED:
            msg = f"The state in {place} is damaged: {reason}; restore it from a backup, see docs/operations.md"
            raise StoreError(msg) from context.original_exception
        if getattr(context.original_exception, "sqlstate", "") in _FORBIDDEN:
            msg = f"The state in {place} may not be written: {reason}; its owner can grant it, see docs/postgres.md"
            raise StoreError(msg) from None

    sqlalchemy.event.listen(engine, "handle_error", translate)


def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401  # a driver's own connection, untyped
    for setting in (f"busy_timeout = {BUSY_TIMEOUT_MS}", "journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _checkpoint(connection: Any, _record: object) -> None:  # noqa: ANN401  # as above
    """Move the write-ahead log into the file, as far as other connections allow without waiting.

    SQLite does so itself only when the last connection of all processes closes.
    """
    with suppress(sqlite3.Error):  # of a damaged file or a full disk, which commits report
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
