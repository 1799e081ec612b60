"""Tables made and changed by Alembic, one step a file, in two trees: `events` (Postgres) and `state` (all stores).

A step is `migrations/<tree>/NNNN_name.py`; its number is its revision, so the newest one is known without Alembic.
To change the state: change its tables, in a module that `state.database.TABLES` names, then
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

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK = 0x68616E7A6F  # the key of the advisory lock that one migration holds


def newest(tree: str) -> str:
    """The revision of a tree's last step; empty: it has none yet."""
    return max((path.stem[:4] for path in (MIGRATIONS / tree).glob("[0-9]*.py")), default="")


def compared(found: str, tree: str, url: str) -> bool:
    """Whether a database is at the newest revision; False: steps are missing.

    Args:
        found: its revision; empty: none.
        tree: the tree.
        url: the database, for the error.

    Raises:
        StoreVersionError: it is newer than this package.
    """
    known = newest(tree)
    if found > known:
        msg = f"{url} has {tree} tables of version {found}, this package knows {known or 'none'}; upgrade hanzo-reports"
        raise StoreVersionError(msg)
    return found == known


def revision(connection: sqlalchemy.Connection, tree: str) -> str:
    """The revision of a database; empty: none."""
    name = f"{tree}_version"
    if not sqlalchemy.inspect(connection).has_table(name):
        return ""
    table = sqlalchemy.table(name, sqlalchemy.column("version_num"))
    return connection.execute(sqlalchemy.select(table.c.version_num)).scalar() or ""


def migrate(engine: sqlalchemy.Engine, tree: str, url: str) -> None:
    """The steps that a database lacks, taken once however many processes ask; all of them or none.

    Raises:
        StoreVersionError: the database is newer than this package.
        StoreError: the tables cannot be made.
    """
    try:
        with engine.connect() as connection:
            done = compared(revision(connection, tree), tree, url)
        if not done:
            with _locked(engine) as connection:
                if not compared(revision(connection, tree), tree, url):
                    _upgrade(connection, tree)
    except sqlalchemy.exc.DBAPIError as error:
        said = str(error.orig).splitlines()[0]
        file = engine.dialect.name == "sqlite"
        needed = "a folder that is there and can be written to" if file else "a role that owns them, or may make them,"
        msg = f"the {tree} tables of {url} cannot be opened: {said}; {needed} is needed"
        engine.dispose()
        raise StoreError(msg) from error
    except StoreError:
        engine.dispose()
        raise


@contextmanager
def _locked(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A transaction that one process at a time is in, and that CREATE TABLE is part of."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield connection
        return
    with engine.connect() as connection:
        raw = connection.execution_options(isolation_level="AUTOCOMMIT")  # the driver begins no transaction for DDL
        raw.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield raw
        except BaseException:
            raw.exec_driver_sql("ROLLBACK")
            raise
        raw.exec_driver_sql("COMMIT")


def draft(name: str, metadata: sqlalchemy.MetaData) -> None:
    """Writes a new step of the state: what the metadata has and the steps so far do not make."""
    from alembic import command  # noqa: PLC0415  # slow to load

    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        _upgrade(connection, "state")
        number = f"{int(newest('state') or 0) + 1:04}"
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
