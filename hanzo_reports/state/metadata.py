"""What the tables of the state have in common: the names of constraints, and the type of instants."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy

METADATA = sqlalchemy.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)  # all tables of the state; a change to them needs a migration: `make migration NAME=...`


class Instant(sqlalchemy.types.TypeDecorator[datetime]):
    """An instant, in UTC in the database and in Python; it compares and sorts as time."""

    impl = sqlalchemy.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sqlalchemy.Dialect) -> datetime | None:
        """Convert to UTC, which SQLite's text is also in."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sqlalchemy.Dialect) -> datetime | None:
        """Add the offset, which SQLite does not store."""
        del dialect
        return None if value is None else (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
