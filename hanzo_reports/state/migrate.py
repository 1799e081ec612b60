"""Creates and alters tables with Alembic, in two trees: `events` (Postgres) and `state` (all stores).

A migration is `migrations/<tree>/NNNN_name.py`; its number is its revision, so the newest one is known without Alembic.
To change the state: change its tables, in a module that `state.database.TABLES` names, then run
`make migration NAME=what_it_does`.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy

from hanzo_reports.errors import StoreError, StoreVersionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

DAMAGED = {"SQLITE_NOTADB", "SQLITE_CORRUPT"}
_SHOWN_TABLES = 5
MIGRATIONS = Path(__file__).with_name("migrations")
MIGRATION_LOCK = 0x68616E7A6F  # the key of Postgres' advisory lock
_REVISION_DIGITS = 4


def newest_revision(tree: str) -> str:
    """Return the revision of a tree's last migration; an empty text if it has none."""
    return max((path.stem[:_REVISION_DIGITS] for path in (MIGRATIONS / tree).glob("[0-9]*.py")), default="")


def is_current(revision: str, tree: str, url: str) -> bool:
    """Return whether a database has had all migrations.

    Args:
        revision: that of the database; empty: it has had none.
        tree: the tree.
        url: the database, for the error.

    Raises:
        StoreVersionError: it is newer than this package.
        StoreError: no version of this package has such a revision.
    """
    newest = newest_revision(tree)
    if revision and not (len(revision) == _REVISION_DIGITS and revision.isdecimal()):
        msg = (
            f"{url} is damaged or not of hanzo-reports: the revision of its {tree} tables is {revision!r}, not a "
            f"number as {newest}. Restore it from a backup, or give another place"
        )
        raise StoreError(msg)
    if revision > newest:
        msg = (
            f"{url} has {tree} tables of version {revision}, this package supports {newest or 'none'}; "
            "upgrade hanzo-reports"
        )
        raise StoreVersionError(msg)
    return revision == newest


def read_revision(connection: sqlalchemy.Connection, tree: str) -> str:
    """Return the revision of a database; an empty text if it has had no migration."""
    name = f"{tree}_version"
    if not sqlalchemy.inspect(connection).has_table(name):
        return ""
    table = sqlalchemy.table(name, sqlalchemy.column("version_num"))
    return connection.execute(sqlalchemy.select(table.c.version_num)).scalar() or ""


def migrate(engine: sqlalchemy.Engine, tree: str, url: str) -> None:
    """Run the migrations that a database lacks, once however many processes try; all of them or none.

    Raises:
        StoreVersionError: the database is newer than this package.
        StoreError: the tables cannot be created, or the database is damaged or belongs to something else.
    """
    try:
        with engine.connect() as connection:
            current = is_current(read_revision(connection, tree), tree, url)
        if not current:
            with _lock_for_migration(engine) as connection:
                revision = read_revision(connection, tree)
                if not revision and engine.dialect.name == "sqlite":
                    _refuse_foreign_file(connection, url)
                if not is_current(revision, tree, url):
                    _upgrade(connection, tree)
    except sqlalchemy.exc.DBAPIError as error:
        reason = str(error.orig).splitlines()[0]
        if getattr(error.orig, "sqlite_errorname", "") in DAMAGED:
            advice = "restore it from a backup, see docs/operations.md"
        elif engine.dialect.name == "sqlite":
            advice = "a folder that exists and can be written to is needed"
        else:
            advice = "a role that owns them, or may create them, is needed"
        msg = f"The {tree} tables of {url} cannot be opened: {reason}; {advice}"
        engine.dispose()
        raise StoreError(msg) from error
    except StoreError:
        engine.dispose()
        raise


def _refuse_foreign_file(connection: sqlalchemy.Connection, url: str) -> None:
    """Raise an error if a SQLite file has tables of something else."""
    tables = sqlalchemy.inspect(connection).get_table_names()
    if tables:
        msg = (
            f"{url} is not a state of hanzo-reports: it is a SQLite file of something else (its tables: "
            f"{', '.join(tables[:_SHOWN_TABLES])}). Restore the state from a backup, or give another file"
        )
        raise StoreError(msg)


@contextmanager
def _lock_for_migration(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """Yield a transaction that one process at a time has, and that CREATE TABLE is part of."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            yield connection
        return
    with engine.connect() as connection:
        raw = connection.execution_options(
            isolation_level="AUTOCOMMIT"
        )  # the driver does not begin a transaction for DDL
        raw.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield raw
        except BaseException:
            raw.exec_driver_sql("ROLLBACK")
            raise
        raw.exec_driver_sql("COMMIT")


def draft_migration(name: str, metadata: sqlalchemy.MetaData) -> None:
    """Write a new migration of the state: what the metadata has and the migrations so far do not create."""
    from alembic import command  # noqa: PLC0415  # slow to load

    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        _upgrade(connection, "state")
        number = f"{int(newest_revision('state') or 0) + 1:0{_REVISION_DIGITS}}"
        command.revision(_config(connection, "state", metadata), name, autogenerate=True, rev_id=number)


def _upgrade(connection: sqlalchemy.Connection, tree: str) -> None:
    from alembic import command  # noqa: PLC0415  # slow to load

    command.upgrade(_config(connection, tree), "head")


def _config(connection: sqlalchemy.Connection, tree: str, metadata: sqlalchemy.MetaData | None = None) -> Config:
    from alembic.config import Config  # noqa: PLC0415  # slow to load

    config = Config()
    for option, value in {
        "script_location": MIGRATIONS,
        "version_locations": MIGRATIONS / tree,
        "path_separator": "newline",
        "file_template": "%(rev)s_%(slug)s",
    }.items():
        config.set_main_option(option, str(value).replace("%", "%%"))
    config.attributes |= {"connection": connection, "table": f"{tree}_version", "metadata": metadata}
    return config
