"""The inventory of a state that belongs to a store in ClickHouse; it also notices a setting that names another state.

It is in the table `loads`, in rows that are not loads: numbered from 1, below every commit's number, and never `done`.
The newest one counts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hanzo_reports.store.clickhouse_tables import LOAD

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy

    from hanzo_reports.store.clickhouse_server import ClickHouseServer

MAX_NUMBER = 1_000_000  # a commit's number is an instant in nanoseconds, and so far above
_KEY = "state"


class ClickHouseInventory:
    """An inventory in the table of loads; see `hanzo_reports.state.inventory`.

    Args:
        server: the database.
        place: where the state is.
    """

    def __init__(self, server: ClickHouseServer, place: str) -> None:
        self.place = place
        self.remedy = f"delete the rows of {server.url} with ALTER TABLE loads DELETE WHERE {LOAD} < {MAX_NUMBER}"
        self._server = server

    def read(self, connection: sqlalchemy.Connection | None = None) -> set[str]:
        """Return the names in the newest row."""
        del connection
        return self._read()[1]

    def write(self, connection: sqlalchemy.Connection | None, names: Iterable[str]) -> None:
        """Add a row that replaces the names."""
        del connection
        row = [self._read()[0] + 1, 0, json.dumps({_KEY: sorted(names)})]
        with self._server.translate_errors(), self._server.connect({"distributed_foreground_insert": 1}) as client:
            client.insert("loads", [row], column_names=[LOAD, "done", "said"])

    def _read(self) -> tuple[int, set[str]]:
        """Return the number and the names of the newest row."""
        query = f"SELECT {LOAD}, said FROM loads FINAL WHERE {LOAD} < {MAX_NUMBER} ORDER BY {LOAD} DESC LIMIT 1"  # noqa: S608
        with self._server.translate_errors(), self._server.connect() as client:
            rows = client.query(query).result_rows
        return (int(rows[0][0]), set(json.loads(rows[0][1])[_KEY])) if rows else (0, set())
