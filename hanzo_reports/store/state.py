"""The database of everything that is not an event: SQLite beside the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy

if TYPE_CHECKING:
    from pathlib import Path

BUSY_MS = 10_000


def sqlite(path: Path) -> sqlalchemy.Engine:
    """An engine on a SQLite file, made on first connection.

    Readers never block (write-ahead log), foreign keys hold, and a writer waits ten seconds for another.
    """
    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(path)))
    sqlalchemy.event.listen(engine, "connect", _settings)
    return engine


def _settings(connection: Any, _record: object) -> None:  # noqa: ANN401  # a driver's own connection, untyped
    for setting in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}").close()
