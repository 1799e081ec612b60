"""The tables of a store in ClickHouse: their statements, and a check of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hanzo_reports.errors import StoreError, StoreVersionError
from hanzo_reports.events import MONEY, SCHEMA, TIMESTAMP
from hanzo_reports.store.base import QUARANTINE

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from hanzo_reports.store.clickhouse_server import ClickHouseServer

FORMAT = 1
MIN_VERSION = (24, 12)  # the first ClickHouse with the newest function in use, toUnixTimestamp64Second
LOAD = "load"  # the commit of a row: a column beside the schema, which readers do not see
KEYS = {"events": "event_id", "quarantine": "quarantine_id"}
_MATERIALIZED = " MATERIALIZED"
_TYPES = {
    "string": "String", "int16": "Int16", "int32": "Int32", "int64": "Int64", "float64": "Float64",
    MONEY: "Decimal(18, 9)", TIMESTAMP: "DateTime64(6, 'UTC')",
}  # fmt: skip
_SORTED = {"events": "project, timestamp, event_id", "quarantine": "quarantine_id", "loads": LOAD}
_INDEXES = {
    "events": "INDEX ids event_id TYPE bloom_filter GRANULARITY 4, INDEX times timestamp TYPE minmax GRANULARITY 1, "
    f"INDEX loads {LOAD} TYPE minmax GRANULARITY 1",
    "quarantine": "INDEX ids quarantine_id TYPE bloom_filter GRANULARITY 4",
}


def _columns(schema: dict[str, str]) -> dict[str, str]:
    columns = {}
    for name, dtype in schema.items():
        kind = _TYPES[dtype.removeprefix("!")]
        columns[name] = kind if dtype.startswith("!") else f"Nullable({kind})"
    return {**columns, LOAD: "UInt64", "precedence": f"UInt64{_MATERIALIZED} bitNot({LOAD})"}


COLUMNS = {
    "events": _columns(SCHEMA),
    "quarantine": _columns(QUARANTINE),
    "loads": {LOAD: "UInt64", "done": "UInt8", "said": "String"},
}


def local_table(server: ClickHouseServer, table: str) -> str:
    """Name the table that holds the rows: itself, or on a cluster the one on each shard."""
    return f"`{table}_local`" if server.cluster else f"`{table}`"


def on_cluster(server: ClickHouseServer) -> str:
    """Return the clause that runs a statement on all shards; an empty text without a cluster."""
    return f" ON CLUSTER `{server.cluster}`" if server.cluster else ""


def create_statements(server: ClickHouseServer, table: str, like: str) -> list[str]:
    """Return the statements that create a table with the columns of `like`, and on a cluster a Distributed one.

    A row that is sent again with its deduplication token is left out; of rows with equal keys, that of the first load
    stays.
    """
    columns = ", ".join(f"`{name}` {kind}" for name, kind in COLUMNS[like].items())
    indexes = f", {_INDEXES[like]}" if like in _INDEXES else ""
    engine = f"ReplacingMergeTree({'done' if like == 'loads' else 'precedence'})"
    statement = (
        f"CREATE TABLE IF NOT EXISTS {local_table(server, table)}{on_cluster(server)} ({columns}{indexes}) "
        f"ENGINE = {engine} ORDER BY ({_SORTED[like]}) SETTINGS non_replicated_deduplication_window = 1000 "
        f"COMMENT 'hanzo-reports store format {FORMAT}'"
    )
    statements = [statement]
    if server.cluster:
        shard = f"cityHash64({KEYS.get(like, LOAD)})"
        statements.append(
            f"CREATE TABLE IF NOT EXISTS `{table}`{on_cluster(server)} ({columns}) "
            f"ENGINE = Distributed(`{server.cluster}`, currentDatabase(), {local_table(server, table)}, {shard}) "
            f"COMMENT 'hanzo-reports store format {FORMAT}'"
        )
    return statements


def check_tables(server: ClickHouseServer, client: Client) -> bool:
    """Return whether the tables exist.

    Raises:
        StoreError: a table of that name belongs to something else, or ClickHouse itself is too old.
        StoreVersionError: a newer version of the package created them.
    """
    if tuple(map(int, (client.server_version or "0.0").split(".")[:2])) < MIN_VERSION:
        needed = ".".join(map(str, MIN_VERSION))
        msg = f"{server.url} is ClickHouse {client.server_version}; upgrade it to {needed} or newer"
        raise StoreError(msg)
    rows = client.query(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND table IN %(tables)s "
        "ORDER BY position",
        parameters={"tables": list(COLUMNS)},
    ).result_rows
    tables: dict[str, dict[str, str]] = {}
    for table, name, kind in rows:
        tables.setdefault(table, {})[name] = kind
    if tables.get("events"):
        query = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'events'"
        [[comment]] = client.query(query).result_rows
        match = re.fullmatch(r"hanzo-reports store format (\d+)", comment)
        if match and int(match[1]) != FORMAT:
            msg = f"{server.url} has store format {match[1]}, this package supports {FORMAT}; upgrade hanzo-reports"
            raise StoreVersionError(msg)
    for table, columns in tables.items():
        for name in {**COLUMNS[table], **columns}:
            expected, kind = COLUMNS[table].get(name, "").partition(_MATERIALIZED)[0], columns.get(name, "")
            if expected != kind:
                msg = (
                    f"{server.url} has a table {table} that hanzo-reports did not create: its column {name} is "
                    f"{kind or 'missing'}, not {expected or 'expected'}; give another database"
                )
                raise StoreError(msg)
    return set(tables) == set(COLUMNS)
