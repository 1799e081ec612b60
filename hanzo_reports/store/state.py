"""The database of everything that is not an event: SQLite beside the lake, or the store's own Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy

from hanzo_reports.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUSY_MS = 10_000
METADATA = sqlalchemy.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
TABLES = ("budget_tables", "quality_tables")  # the modules beside this one that have the tables


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


def metadata() -> sqlalchemy.MetaData:
    """All tables of the state; a change to them needs a step: `make migration NAME=...`."""
    for module in TABLES:
        import_module(f"hanzo_reports.store.{module}")
    return METADATA


def sqlite(path: Path) -> sqlalchemy.Engine:
    """An engine on a SQLite file, with all tables of `METADATA`.

    Readers never block (write-ahead log), foreign keys hold, and a writer waits ten seconds for another.

    Raises:
        StoreVersionError: a newer version of the package made it.
    """
    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(path)))
    sqlalchemy.event.listen(engine, "connect", _settings)
    migrate(engine, "state", str(path))
    return engine


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
    return engine


def _settings(connection: Any, _record: object) -> None:  # noqa: ANN401  # a driver's own connection, untyped
    for setting in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}").close()
