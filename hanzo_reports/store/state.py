"""The database of everything that is not an event: SQLite beside the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy.schema import CreateIndex, CreateTable

if TYPE_CHECKING:
    from pathlib import Path

BUSY_MS = 10_000
METADATA = sqlalchemy.MetaData()


class Instant(sqlalchemy.types.TypeDecorator[datetime]):
    """An instant with its offset, UTC in the database and out of it; it compares and sorts as time does."""

    impl = sqlalchemy.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sqlalchemy.Dialect) -> datetime | None:
        """UTC, which is also what SQLite's text holds."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sqlalchemy.Dialect) -> datetime | None:
        """With the offset that SQLite does not keep."""
        del dialect
        return None if value is None else (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


def create_tables(engine: sqlalchemy.Engine) -> None:
    """Every table of METADATA, where it is not there yet; several processes may do so at once."""
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))


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
