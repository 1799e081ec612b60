"""Notices a state that was emptied or replaced: which of its tables have rows is also recorded outside of them.

Without its budgets, a store would allow what a hard limit stops. So whoever adds to or removes from a table below calls
`update_inventory` in the same transaction, and whoever finds it empty calls `require_rows`. An engine carries its
inventory as an execution option; one without it checks nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import sqlalchemy

from hanzo_reports import atomic_write
from hanzo_reports.errors import StoreError
from hanzo_reports.state.alert_tables import RULES
from hanzo_reports.state.budget_tables import BUDGETS, insert_new
from hanzo_reports.state.inventory_table import INVENTORY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OPTION = "hanzo_inventory"  # the execution option
CONTENTS = {BUDGETS: "budgets", RULES: "alert rules"}


class Inventory(Protocol):
    """A record of the tables that have rows."""

    @property
    def place(self) -> str:
        """Where the state is, for errors."""

    @property
    def remedy(self) -> str:
        """How to accept that a table is empty, as an instruction."""

    def read(self, connection: sqlalchemy.Connection) -> set[str]:
        """Return the names of the tables that have rows."""

    def write(self, connection: sqlalchemy.Connection, names: Iterable[str]) -> None:
        """Replace them; the connection is in a transaction that excludes other writers."""


class FileInventory:
    """An inventory in a JSON file.

    Args:
        path: the file; it need not exist.
        place: where the state is.
    """

    def __init__(self, path: Path, place: str) -> None:
        self.path = path
        self.place = place
        self.remedy = f"delete {path}"

    def read(self, connection: sqlalchemy.Connection | None = None) -> set[str]:
        """Return the names in the file."""
        del connection
        try:
            names = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return set()
        except (OSError, ValueError):
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            msg = f'{self.path} is damaged: it should hold names of tables, as ["budget"]. Restore or delete it'
            raise StoreError(msg)
        return set(names)

    def write(self, connection: sqlalchemy.Connection, names: Iterable[str]) -> None:
        """Replace the file."""
        del connection
        atomic_write.write_text(self.path, json.dumps(sorted(names)) + "\n")


class TableInventory:
    """An inventory in the state's own database, for a server, where a table may be emptied but not the file replaced.

    Args:
        place: the address of the database.
    """

    remedy = "run DELETE FROM hanzo_reports.state_inventory"

    def __init__(self, place: str) -> None:
        self.place = place

    def read(self, connection: sqlalchemy.Connection) -> set[str]:
        """Return the names in the table."""
        return set(connection.execute(sqlalchemy.select(INVENTORY.c.table_name)).scalars())

    def write(self, connection: sqlalchemy.Connection, names: Iterable[str]) -> None:
        """Replace the rows of the table."""
        connection.execute(sqlalchemy.delete(INVENTORY).where(INVENTORY.c.table_name.not_in(list(names))))
        for name in sorted(names):
            insert_new(connection, INVENTORY, {"table_name": name})


def attach_inventory(engine: sqlalchemy.Engine, inventory: Inventory) -> None:
    """Give an engine an inventory, and record tables with rows that an earlier version or a killed process did not."""
    engine.update_execution_options(**{OPTION: inventory})
    with engine.connect() as connection:
        recorded = inventory.read(connection)
        unrecorded = [table for table in CONTENTS if table.name not in recorded and _has_rows(connection, table)]
    for table in unrecorded:
        with engine.begin() as connection:
            _lock_for_writing(connection)
            update_inventory(connection, table)


def update_inventory(connection: sqlalchemy.Connection, table: sqlalchemy.Table) -> None:
    """Record whether a table has rows now, as the last step of the transaction that changed it."""
    inventory = _inventory_of(connection)
    if inventory is None:
        return
    recorded = inventory.read(connection)
    names = recorded | {table.name} if _has_rows(connection, table) else recorded - {table.name}
    if names != recorded:
        inventory.write(connection, names)


def require_rows(connection: sqlalchemy.Connection, table: sqlalchemy.Table) -> None:
    """Check a table in which nothing was found.

    Raises:
        StoreError: it is empty, although it had rows.
    """
    inventory = _inventory_of(connection)
    if inventory is None or not _has_lost(connection, inventory, table):
        return
    with suppress(StoreError):  # of a role that may only read; it cannot wait
        _wait_for_writers(connection, table)
    if not _has_lost(connection, inventory, table):
        return
    contents = CONTENTS[table]
    msg = (
        f"The state in {inventory.place} has no {contents}, but this store had some: it was emptied, replaced or not "
        "restored. Restore it from a backup, see docs/operations.md. "
        f"To continue without {contents}, {inventory.remedy}"
    )
    raise StoreError(msg)


def _has_lost(connection: sqlalchemy.Connection, inventory: Inventory, table: sqlalchemy.Table) -> bool:
    return table.name in inventory.read(connection) and not _has_rows(connection, table)


def _wait_for_writers(connection: sqlalchemy.Connection, table: sqlalchemy.Table) -> None:
    """Wait for a transaction that adds the first row or removes the last; the inventory may be ahead of its commit."""
    if connection.dialect.name == "sqlite":
        _lock_for_writing(connection)
        return
    with connection.begin_nested() as savepoint:  # its rollback releases the lock
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE MODE")
        savepoint.rollback()


def _lock_for_writing(connection: sqlalchemy.Connection) -> None:
    """Take SQLite's lock for writing until the end of the transaction."""
    connection.execute(sqlalchemy.delete(INVENTORY).where(sqlalchemy.false()))


def _inventory_of(connection: sqlalchemy.Connection) -> Inventory | None:
    inventory: Inventory | None = connection.get_execution_options().get(OPTION)
    return inventory


def _has_rows(connection: sqlalchemy.Connection, table: sqlalchemy.Table) -> bool:
    return connection.execute(sqlalchemy.select(sqlalchemy.literal(1)).select_from(table).limit(1)).first() is not None
